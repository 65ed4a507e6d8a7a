package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/expression"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func get(ctx context.Context, client *dynamodb.Client) (string, error) {
	first := readings()[0]
	for _, consistent := range []bool{true, false} {
		got, err := client.GetItem(ctx, &dynamodb.GetItemInput{
			TableName:      aws.String(table),
			Key:            first.key(),
			ConsistentRead: aws.Bool(consistent),
		})
		if err != nil {
			return "", err
		}
		if err := sameReadings([]map[string]types.AttributeValue{got.Item}, []reading{first}); err != nil {
			return "", err
		}
	}
	missing := reading{Station: "nowhere"}
	got, err := client.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(table), Key: missing.key()})
	if err != nil {
		return "", err
	}
	return "the item twice, and none where there is none", same("a missing item", len(got.Item), 0)
}

func batchGet(ctx context.Context, client *dynamodb.Client) (string, error) {
	wanted := readings()[:100]
	var keys []map[string]types.AttributeValue
	for _, reading := range wanted {
		keys = append(keys, reading.key())
	}
	left := map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}}
	var items []map[string]types.AttributeValue
	for attempt := 0; len(left) > 0; attempt++ {
		if attempt == attemptsMost {
			return "", fmt.Errorf("%d keys are unprocessed after %d attempts", len(left[table].Keys), attempt)
		}
		if err := backOff(ctx, attempt); err != nil {
			return "", err
		}
		got, err := client.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: left})
		if err != nil {
			return "", err
		}
		items = append(items, got.Responses[table]...)
		left = got.UnprocessedKeys
	}
	return fmt.Sprintf("%d items", len(items)), sameReadings(items, wanted)
}

func query(ctx context.Context, client *dynamodb.Client) (string, error) {
	key := expression.Key("station").Equal(expression.Value("north")).
		And(expression.Key("hour").Between(expression.Value(3), expression.Value(22)))
	filter := expression.Name("celsius").NotEqual(expression.Value(0)).
		And(expression.Name("note").BeginsWith("north "))
	built, err := expression.NewBuilder().
		WithKeyCondition(key).
		WithFilter(filter).
		WithProjection(expression.NamesList(expression.Name("hour"), expression.Name("celsius"))).
		Build()
	if err != nil {
		return "", err
	}
	pages := dynamodb.NewQueryPaginator(client, &dynamodb.QueryInput{
		TableName:                 aws.String(table),
		KeyConditionExpression:    built.KeyCondition(),
		FilterExpression:          built.Filter(),
		ProjectionExpression:      built.Projection(),
		ExpressionAttributeNames:  built.Names(),
		ExpressionAttributeValues: built.Values(),
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(8),
	})
	var found []reading
	var counts, scanned []int32
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		var rows []reading
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &rows); err != nil {
			return "", err
		}
		found = append(found, rows...)
		counts, scanned = append(counts, page.Count), append(scanned, page.ScannedCount)
	}
	var wanted []reading
	for _, reading := range slices.Backward(readings()) {
		if reading.Station == "north" && reading.Hour >= 3 && reading.Hour <= 22 && reading.Celsius != 0 {
			reading.Station, reading.Note = "", ""
			wanted = append(wanted, reading)
		}
	}
	if err := same("what was read of each page", scanned, []int32{8, 8, 4}); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d items in pages of %v", len(found), counts), same("the items, backward", found, wanted)
}

// In the index's order, with what the index has; asked for all attributes, with those of the table.
func queryLocalIndex(ctx context.Context, client *dynamodb.Client) (string, error) {
	key := expression.Key("station").Equal(expression.Value("south")).
		And(expression.Key("celsius").GreaterThanEqual(expression.Value(0)))
	built, err := expression.NewBuilder().WithKeyCondition(key).Build()
	if err != nil {
		return "", err
	}
	request := dynamodb.QueryInput{
		TableName:                 aws.String(table),
		IndexName:                 aws.String(localIndex),
		KeyConditionExpression:    built.KeyCondition(),
		ExpressionAttributeNames:  built.Names(),
		ExpressionAttributeValues: built.Values(),
		ScanIndexForward:          aws.Bool(false),
		ConsistentRead:            aws.Bool(true),
		Limit:                     aws.Int32(5),
	}
	var found []reading
	for pages := dynamodb.NewQueryPaginator(client, &request); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		var rows []reading
		if err := attributevalue.UnmarshalListOfMaps(page.Items, &rows); err != nil {
			return "", err
		}
		found = append(found, rows...)
	}
	var wanted []reading
	for _, reading := range readings() {
		if reading.Station == "south" && reading.Celsius >= 0 {
			wanted = append(wanted, reading)
		}
	}
	slices.SortFunc(wanted, func(a, b reading) int { return cmp.Compare(b.Celsius, a.Celsius) })
	whole := request
	whole.Select, whole.Limit = types.SelectAllAttributes, aws.Int32(2)
	warmest, err := client.Query(ctx, &whole)
	if err != nil {
		return "", err
	}
	var rows []reading
	if err := attributevalue.UnmarshalListOfMaps(warmest.Items, &rows); err != nil {
		return "", err
	}
	if err := same("the warmest, whole", rows, slices.Clone(wanted[:2])); err != nil {
		return "", err
	}
	for index := range wanted {
		wanted[index].Note = ""
	}
	return fmt.Sprintf("%d items from %v °C down", len(found), found[0].Celsius), same("the items", found, wanted)
}

// The items of a scan, or of one segment of it, and in how many pages they came.
func scanned(ctx context.Context, client *dynamodb.Client, request *dynamodb.ScanInput) ([]map[string]types.AttributeValue, int, error) {
	var items []map[string]types.AttributeValue
	count := 0
	for pages := dynamodb.NewScanPaginator(client, request); pages.HasMorePages(); count++ {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, 0, err
		}
		items = append(items, page.Items...)
	}
	return items, count, nil
}

func scan(ctx context.Context, client *dynamodb.Client) (string, error) {
	items, pages, err := scanned(ctx, client, &dynamodb.ScanInput{TableName: aws.String(table)})
	if err != nil {
		return "", err
	}
	if pages < 2 {
		return "", fmt.Errorf("expected more than one page, got %d", pages)
	}
	return fmt.Sprintf("%d items in %d pages", len(items), pages), sameReadings(items, readings())
}

func scanSegments(ctx context.Context, client *dynamodb.Client) (string, error) {
	const segments = 4
	var items [segments][]map[string]types.AttributeValue
	var errs [segments]error
	var running sync.WaitGroup
	for segment := range segments {
		running.Add(1)
		go func() {
			defer running.Done()
			items[segment], _, errs[segment] = scanned(ctx, client, &dynamodb.ScanInput{
				TableName:      aws.String(table),
				Segment:        aws.Int32(int32(segment)),
				TotalSegments:  aws.Int32(segments),
				ConsistentRead: aws.Bool(true),
				Limit:          aws.Int32(10),
			})
		}()
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return "", err
		}
	}
	all := slices.Concat(items[:]...)
	return fmt.Sprintf("%d items in %d segments", len(all), segments), sameReadings(all, readings())
}

func executeStatement(ctx context.Context, client *dynamodb.Client) (string, error) {
	parameters, err := attributevalue.MarshalList([]any{"west", 28})
	if err != nil {
		return "", err
	}
	selected, err := client.ExecuteStatement(ctx, &dynamodb.ExecuteStatementInput{
		Statement:  aws.String(`SELECT * FROM "` + table + `" WHERE station = ? AND "hour" >= ?`),
		Parameters: parameters,
	})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d items", len(selected.Items)), sameReadings(selected.Items, readings()[len(readings())-2:])
}
