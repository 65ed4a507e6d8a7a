package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

var (
	checked = readings()[2]
	counter = reading{Station: "tally", Hour: 0}
	logged  = reading{Station: "tally", Hour: 1, Note: "counted"}
	// Written by an earlier step.
	removed = reading{Station: "types", Hour: 0}
)

// One change of each kind, and all of it only if the condition holds.
func transaction(condition expression.ConditionBuilder) (*dynamodb.TransactWriteItemsInput, error) {
	add, err := expression.NewBuilder().
		WithUpdate(expression.Add(expression.Name("transactions"), expression.Value(1))).
		Build()
	if err != nil {
		return nil, err
	}
	check, err := expression.NewBuilder().WithCondition(condition).Build()
	if err != nil {
		return nil, err
	}
	item, err := attributevalue.MarshalMap(logged)
	if err != nil {
		return nil, err
	}
	name := aws.String(table)
	return &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{
		{Update: &types.Update{
			TableName:                 name,
			Key:                       counter.key(),
			UpdateExpression:          add.Update(),
			ExpressionAttributeNames:  add.Names(),
			ExpressionAttributeValues: add.Values(),
		}},
		{ConditionCheck: &types.ConditionCheck{
			TableName:                           name,
			Key:                                 checked.key(),
			ConditionExpression:                 check.Condition(),
			ExpressionAttributeNames:            check.Names(),
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		{Put: &types.Put{TableName: name, Item: item}},
		{Delete: &types.Delete{
			TableName:           name,
			Key:                 removed.key(),
			ConditionExpression: aws.String("attribute_exists(station)"),
		}},
	}}, nil
}

func isThere() expression.ConditionBuilder {
	return expression.AttributeExists(expression.Name("station"))
}

func isNotThere() expression.ConditionBuilder {
	return expression.AttributeNotExists(expression.Name("station"))
}

// How often a transaction has counted; 0 if there is no item.
func counted(ctx context.Context, client *dynamodb.Client) (int, error) {
	got, err := client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      aws.String(table),
		Key:            counter.key(),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return 0, err
	}
	var item struct{ Transactions int }
	return item.Transactions, attributevalue.UnmarshalMap(got.Item, &item)
}

// The SDK's own type has the reasons, and in them the item, if asked.
func cancelTransaction(ctx context.Context, client *dynamodb.Client) (string, error) {
	request, err := transaction(isNotThere())
	if err != nil {
		return "", err
	}
	_, err = client.TransactWriteItems(ctx, request)
	var canceled *types.TransactionCanceledException
	if !errors.As(err, &canceled) {
		return "", fmt.Errorf("expected TransactionCanceledException, got %v", err)
	}
	var codes []string
	for _, reason := range canceled.CancellationReasons {
		codes = append(codes, aws.ToString(reason.Code))
	}
	if err := same("the codes", codes, []string{"None", "ConditionalCheckFailed", "None", "None"}); err != nil {
		return "", err
	}
	failed := canceled.CancellationReasons[1]
	if err := same("the reason", aws.ToString(failed.Message), "The conditional request failed"); err != nil {
		return "", err
	}
	var item reading
	if err := attributevalue.UnmarshalMap(failed.Item, &item); err != nil {
		return "", err
	}
	if err := same("the reason's item", item, checked); err != nil {
		return "", err
	}
	count, err := counted(ctx, client)
	if err != nil {
		return "", err
	}
	return canceled.ErrorMessage(), same("what was counted", count, 0)
}

func transactWrite(ctx context.Context, client *dynamodb.Client) (string, error) {
	request, err := transaction(isThere())
	if err != nil {
		return "", err
	}
	request.ClientRequestToken = aws.String(rand.Text())
	request.ReturnConsumedCapacity = types.ReturnConsumedCapacityTotal
	for range 2 {
		written, err := client.TransactWriteItems(ctx, request)
		if err != nil {
			return "", err
		}
		if units := *written.ConsumedCapacity[0].CapacityUnits; units < 8 {
			return "", fmt.Errorf("expected twice the units of four changes, got %v", units)
		}
	}
	count, err := counted(ctx, client)
	if err != nil {
		return "", err
	}
	if err := same("what was counted", count, 1); err != nil {
		return "", err
	}
	other, err := transaction(isNotThere())
	if err != nil {
		return "", err
	}
	other.ClientRequestToken = request.ClientRequestToken
	_, err = client.TransactWriteItems(ctx, other)
	var mismatch *types.IdempotentParameterMismatchException
	if !errors.As(err, &mismatch) {
		return "", fmt.Errorf("expected IdempotentParameterMismatchException, got %v", err)
	}
	return "done once, and " + mismatch.ErrorCode() + " for another with its token", nil
}

func transactGet(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(table)
	got, err := client.TransactGetItems(ctx, &dynamodb.TransactGetItemsInput{TransactItems: []types.TransactGetItem{
		{Get: &types.Get{TableName: name, Key: counter.key()}},
		{Get: &types.Get{TableName: name, Key: logged.key()}},
		{Get: &types.Get{TableName: name, Key: checked.key(), ProjectionExpression: aws.String("celsius")}},
		{Get: &types.Get{TableName: name, Key: removed.key()}},
	}})
	if err != nil {
		return "", err
	}
	var found []map[string]any
	for _, response := range got.Responses {
		var item map[string]any
		if err := attributevalue.UnmarshalMap(response.Item, &item); err != nil {
			return "", err
		}
		found = append(found, item)
	}
	wanted := []map[string]any{
		{"station": "tally", "hour": 0.0, "transactions": 1.0},
		{"station": "tally", "hour": 1.0, "celsius": 0.0, "note": "counted"},
		{"celsius": checked.Celsius},
		{},
	}
	return "three items, and none where it was deleted", same("the items", found, wanted)
}
