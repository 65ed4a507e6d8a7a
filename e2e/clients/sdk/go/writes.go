package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	batchMost    = 25
	attemptsMost = 8
	// What the table has unused when it is throttled lasts for fewer.
	putsMost = 200
)

// The wait before an attempt that is not the first.
func backOff(ctx context.Context, attempt int) error {
	if attempt == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(50 * time.Millisecond << attempt):
		return nil
	}
}

func putOne(ctx context.Context, client *dynamodb.Client) (string, error) {
	first := readings()[0]
	for _, celsius := range []float64{first.Celsius - 1, first.Celsius} {
		changed := first
		changed.Celsius = celsius
		item, err := attributevalue.MarshalMap(changed)
		if err != nil {
			return "", err
		}
		put, err := client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName:              aws.String(table),
			Item:                   item,
			ReturnValues:           types.ReturnValueAllOld,
			ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
		})
		if err != nil {
			return "", err
		}
		if celsius != first.Celsius {
			if put.Attributes != nil {
				return "", errors.New("expected no item before the first")
			}
			continue
		}
		var before reading
		if err := attributevalue.UnmarshalMap(put.Attributes, &before); err != nil {
			return "", err
		}
		if before.Celsius != first.Celsius-1 {
			return "", fmt.Errorf("expected the item before the put, got one of %v °C", before.Celsius)
		}
		if *put.ConsumedCapacity.CapacityUnits < 1 {
			return "", errors.New("expected write units")
		}
	}
	return "the second gave the first", nil
}

func batchWrite(ctx context.Context, client *dynamodb.Client) (string, error) {
	var requests []types.WriteRequest
	for _, reading := range readings()[1:] {
		item, err := attributevalue.MarshalMap(reading)
		if err != nil {
			return "", err
		}
		requests = append(requests, types.WriteRequest{PutRequest: &types.PutRequest{Item: item}})
	}
	calls := 0
	for batch := range slices.Chunk(requests, batchMost) {
		left := map[string][]types.WriteRequest{table: batch}
		for attempt := 0; len(left) > 0; attempt++ {
			if attempt == attemptsMost {
				return "", fmt.Errorf("%d requests are unprocessed after %d attempts", len(left[table]), attempt)
			}
			if err := backOff(ctx, attempt); err != nil {
				return "", err
			}
			written, err := client.BatchWriteItem(ctx, &dynamodb.BatchWriteItemInput{RequestItems: left})
			if err != nil {
				return "", err
			}
			left = written.UnprocessedItems
			calls++
		}
	}
	return fmt.Sprintf("%d items in %d calls", len(requests), calls), nil
}

func update(ctx context.Context, client *dynamodb.Client) (string, error) {
	changes := expression.
		Set(expression.Name("celsius"), expression.Name("celsius").Plus(expression.Value(1.25))).
		Set(expression.Name("log"), expression.ListAppend(
			expression.IfNotExists(expression.Name("log"), expression.Value([]string{})),
			expression.Value([]string{"warmer"}))).
		Add(expression.Name("changes"), expression.Value(1)).
		Remove(expression.Name("note"))
	condition := expression.AttributeExists(expression.Name("station")).
		And(expression.Name("celsius").LessThan(expression.Value(0)))
	built, err := expression.NewBuilder().WithUpdate(changes).WithCondition(condition).Build()
	if err != nil {
		return "", err
	}
	first := readings()[0]
	updated, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 aws.String(table),
		Key:                       first.key(),
		UpdateExpression:          built.Update(),
		ConditionExpression:       built.Condition(),
		ExpressionAttributeNames:  built.Names(),
		ExpressionAttributeValues: built.Values(),
		ReturnValues:              types.ReturnValueUpdatedNew,
	})
	if err != nil {
		return "", err
	}
	var found map[string]any
	if err := attributevalue.UnmarshalMap(updated.Attributes, &found); err != nil {
		return "", err
	}
	wanted := map[string]any{"celsius": first.Celsius + 1.25, "log": []any{"warmer"}, "changes": 1.0}
	return fmt.Sprint(found), same("the updated attributes", found, wanted)
}

// Of a put, an update and a delete; the SDK's own type has the item, if asked.
func failConditions(ctx context.Context, client *dynamodb.Client) (string, error) {
	second := readings()[1]
	item, err := attributevalue.MarshalMap(second)
	if err != nil {
		return "", err
	}
	built, err := expression.NewBuilder().
		WithCondition(expression.AttributeNotExists(expression.Name("station"))).
		Build()
	if err != nil {
		return "", err
	}
	allOld := types.ReturnValuesOnConditionCheckFailureAllOld
	_, putError := client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           aws.String(table),
		Item:                                item,
		ConditionExpression:                 built.Condition(),
		ExpressionAttributeNames:            built.Names(),
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	_, updateError := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                           aws.String(table),
		Key:                                 second.key(),
		UpdateExpression:                    aws.String("REMOVE note"),
		ConditionExpression:                 built.Condition(),
		ExpressionAttributeNames:            built.Names(),
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	_, deleteError := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                           aws.String(table),
		Key:                                 second.key(),
		ConditionExpression:                 built.Condition(),
		ExpressionAttributeNames:            built.Names(),
		ReturnValuesOnConditionCheckFailure: allOld,
	})
	message := ""
	for _, err := range []error{putError, updateError, deleteError} {
		var failed *types.ConditionalCheckFailedException
		if !errors.As(err, &failed) {
			return "", fmt.Errorf("expected ConditionalCheckFailedException, got %v", err)
		}
		if err := same("the exception's item", failed.Item, item); err != nil {
			return "", err
		}
		message = failed.ErrorMessage()
	}
	return message, nil
}

func deleteOne(ctx context.Context, client *dynamodb.Client) (string, error) {
	last := readings()[len(readings())-1]
	request := &dynamodb.DeleteItemInput{
		TableName:    aws.String(table),
		Key:          last.key(),
		ReturnValues: types.ReturnValueAllOld,
	}
	deleted, err := client.DeleteItem(ctx, request)
	if err != nil {
		return "", err
	}
	if err := sameReadings([]map[string]types.AttributeValue{deleted.Attributes}, []reading{last}); err != nil {
		return "", err
	}
	deleted, err = client.DeleteItem(ctx, request)
	if err != nil {
		return "", err
	}
	if deleted.Attributes != nil {
		return "", errors.New("expected the second time to find nothing")
	}
	return "gave the item, then nothing", nil
}

// A client that tries once is refused; one that tries again, as they all do if left alone, gets through.
func putThrottled(ctx context.Context, client *dynamodb.Client) (string, error) {
	_, err := client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
		TableName:   aws.String(table),
		BillingMode: types.BillingModeProvisioned,
		ProvisionedThroughput: &types.ProvisionedThroughput{
			ReadCapacityUnits:  aws.Int64(5),
			WriteCapacityUnits: aws.Int64(5),
		},
	})
	if err != nil {
		return "", err
	}
	if _, err := waitUntilActive(ctx, client); err != nil {
		return "", err
	}
	item, err := attributevalue.MarshalMap(reading{Station: "busy", Note: strings.Repeat("5 units, ", 500)})
	if err != nil {
		return "", err
	}
	put := &dynamodb.PutItemInput{TableName: aws.String(table), Item: item}
	attempts := func(most int) func(*dynamodb.Options) {
		return func(options *dynamodb.Options) { options.RetryMaxAttempts = most }
	}
	for puts := 0; err == nil && puts < putsMost; puts++ {
		_, err = client.PutItem(ctx, put, attempts(1))
	}
	var throttled *types.ProvisionedThroughputExceededException
	if !errors.As(err, &throttled) {
		return "", fmt.Errorf("expected ProvisionedThroughputExceededException, got %v", err)
	}
	reason := aws.ToString(throttled.ThrottlingReasons[0].Reason)
	if err := same("the reason", reason, "TableWriteProvisionedThroughputExceeded"); err != nil {
		return "", err
	}
	written, err := client.PutItem(ctx, put, attempts(10))
	if err != nil {
		return "", err
	}
	tried, _ := retry.GetAttemptResults(written.ResultMetadata)
	if len(tried.Results) < 2 {
		return "", errors.New("expected more than one attempt")
	}
	return throttled.ErrorCode() + ", then retried", nil
}
