package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

// Global indexes, on a table of their own: one from the start, and one that is added to what is there and deleted again.
const (
	stations = "stations.go"
	// What all stations read at an hour, without their notes.
	byHour = "by-hour"
	// What a station read, the coldest first, as keys alone.
	coldestFirst = "coldest-first"

	looksMost = 400
	lookAgain = 50 * time.Millisecond
)

var (
	coldest = reading{Station: "east", Hour: 1, Celsius: -40}
	gone    = reading{Station: "north", Hour: 1}
)

// What is put there, before one gets colder and one goes.
func gauged() []reading {
	all := slices.DeleteFunc(readings(), func(r reading) bool { return r.Hour >= 6 })
	for index := range all {
		all[index].Note = "not in an index"
	}
	return all
}

// What is there then and fits, as an index shows it.
func left(fits func(reading) bool) []reading {
	var all []reading
	for _, reading := range gauged() {
		reading.Note = ""
		switch {
		case reading.Station == gone.Station && reading.Hour == gone.Hour:
			continue
		case reading.Station == coldest.Station && reading.Hour == coldest.Hour:
			reading = coldest
		}
		if fits(reading) {
			all = append(all, reading)
		}
	}
	return all
}

// An index follows its table: looks until it is as it should be. Gives the number of looks.
func eventually[T any](ctx context.Context, what string, wanted T, look func() (T, error)) (int, error) {
	for looks := 1; ; looks++ {
		found, err := look()
		if err != nil {
			return looks, err
		}
		if reflect.DeepEqual(found, wanted) {
			return looks, nil
		}
		if looks == looksMost {
			return looks, same(what, found, wanted)
		}
		select {
		case <-ctx.Done():
			return looks, ctx.Err()
		case <-time.After(lookAgain):
		}
	}
}

// Waits until the table is active and has these indexes, each active.
func waitForIndexes(ctx context.Context, client *dynamodb.Client, names ...string) (int, error) {
	wanted := map[string]string{stations: "ACTIVE"}
	for _, name := range names {
		wanted[name] = "ACTIVE"
	}
	return eventually(ctx, "the statuses", wanted, func() (map[string]string, error) {
		described, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(stations)})
		if err != nil {
			return nil, err
		}
		found := map[string]string{stations: string(described.Table.TableStatus)}
		for _, index := range described.Table.GlobalSecondaryIndexes {
			found[*index.IndexName] = string(index.IndexStatus)
		}
		return found, nil
	})
}

func queried(ctx context.Context, client *dynamodb.Client, request *dynamodb.QueryInput) ([]reading, error) {
	var all []reading
	for pages := dynamodb.NewQueryPaginator(client, request); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		var rows []reading
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &rows); err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

func invalid(err error) error {
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "ValidationException" {
		return fmt.Errorf("expected ValidationException, got %v", err)
	}
	return nil
}

func createWithGlobalIndex(ctx context.Context, client *dynamodb.Client) (string, error) {
	_, err := client.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: aws.String(stations),
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("hour"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("station"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("station"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("hour"), KeyType: types.KeyTypeRange},
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{{
			IndexName: aws.String(byHour),
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String("hour"), KeyType: types.KeyTypeHash},
				{AttributeName: aws.String("station"), KeyType: types.KeyTypeRange},
			},
			Projection: &types.Projection{
				ProjectionType:   types.ProjectionTypeInclude,
				NonKeyAttributes: []string{"celsius"},
			},
		}},
		BillingMode: types.BillingModePayPerRequest,
	})
	if err != nil {
		return "", err
	}
	looks, err := waitForIndexes(ctx, client, byHour)
	return fmt.Sprintf("%s is ACTIVE at look %d", byHour, looks), err
}

func queryGlobalIndex(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(stations)
	for _, reading := range gauged() {
		item, err := attributevalue.MarshalMap(reading)
		if err != nil {
			return "", err
		}
		if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item}); err != nil {
			return "", err
		}
	}
	colder, err := attributevalue.MarshalMap(map[string]float64{":celsius": coldest.Celsius})
	if err != nil {
		return "", err
	}
	_, err = client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName:                 name,
		Key:                       coldest.key(),
		UpdateExpression:          aws.String("SET celsius = :celsius"),
		ExpressionAttributeValues: colder,
	})
	if err != nil {
		return "", err
	}
	if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: gone.key()}); err != nil {
		return "", err
	}

	values, err := attributevalue.MarshalMap(map[string]int{":hour": 1})
	if err != nil {
		return "", err
	}
	request := dynamodb.QueryInput{
		TableName:                 name,
		IndexName:                 aws.String(byHour),
		KeyConditionExpression:    aws.String("#hour = :hour"),
		ExpressionAttributeNames:  map[string]string{"#hour": "hour"},
		ExpressionAttributeValues: values,
		Limit:                     aws.Int32(2),
	}
	wanted := left(func(r reading) bool { return r.Hour == 1 })
	looks, err := eventually(ctx, "the items", wanted, func() ([]reading, error) { return queried(ctx, client, &request) })
	if err != nil {
		return "", err
	}
	consistent := request
	consistent.ConsistentRead = aws.Bool(true)
	_, err = client.Query(ctx, &consistent)
	return fmt.Sprintf("as written at look %d, and ValidationException for a consistent read", looks), invalid(err)
}

func inItsOrder() (*dynamodb.QueryInput, error) {
	values, err := attributevalue.MarshalMap(map[string]string{":station": coldest.Station})
	return &dynamodb.QueryInput{
		TableName:                 aws.String(stations),
		IndexName:                 aws.String(coldestFirst),
		KeyConditionExpression:    aws.String("station = :station"),
		ExpressionAttributeValues: values,
	}, err
}

func addGlobalIndex(ctx context.Context, client *dynamodb.Client) (string, error) {
	_, err := client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
		TableName: aws.String(stations),
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("celsius"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("station"), AttributeType: types.ScalarAttributeTypeS},
		},
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{
			Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: aws.String(coldestFirst),
				KeySchema: []types.KeySchemaElement{
					{AttributeName: aws.String("station"), KeyType: types.KeyTypeHash},
					{AttributeName: aws.String("celsius"), KeyType: types.KeyTypeRange},
				},
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
			},
		}},
	})
	if err != nil {
		return "", err
	}
	looks, err := waitForIndexes(ctx, client, byHour, coldestFirst)
	if err != nil {
		return "", err
	}
	request, err := inItsOrder()
	if err != nil {
		return "", err
	}
	wanted := left(func(r reading) bool { return r.Station == coldest.Station })
	slices.SortFunc(wanted, func(a, b reading) int { return cmp.Compare(a.Celsius, b.Celsius) })
	_, err = eventually(ctx, "the items", wanted, func() ([]reading, error) { return queried(ctx, client, request) })
	return fmt.Sprintf("ACTIVE at look %d, and %d items in its order", looks, len(wanted)), err
}

func deleteGlobalIndex(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(stations)
	remove := &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String(coldestFirst)}
	_, err := client.UpdateTable(ctx, &dynamodb.UpdateTableInput{
		TableName:                   name,
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{Delete: remove}},
	})
	if err != nil {
		return "", err
	}
	looks, err := waitForIndexes(ctx, client, byHour)
	if err != nil {
		return "", err
	}
	request, err := inItsOrder()
	if err != nil {
		return "", err
	}
	_, err = client.Query(ctx, request)
	if err := invalid(err); err != nil {
		return "", err
	}
	if _, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name}); err != nil {
		return "", err
	}
	waiter := dynamodb.NewTableNotExistsWaiter(client, func(options *dynamodb.TableNotExistsWaiterOptions) {
		options.MinDelay, options.MaxDelay = 100*time.Millisecond, time.Second
	})
	err = waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: name}, waitMost)
	return fmt.Sprintf("gone at look %d, then the table", looks), err
}
