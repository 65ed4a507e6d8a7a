package main

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

const warmer = 1.5

// What is put, put again as it is, which is no change, then updated and deleted.
func streamed() []reading {
	var all []reading
	for _, station := range []string{"moon", "sun"} {
		for hour := range 3 {
			all = append(all, reading{Station: station, Hour: hour})
		}
	}
	return all
}

func updateStream(ctx context.Context, client *dynamodb.Client, stream *types.StreamSpecification) (*types.TableDescription, error) {
	request := &dynamodb.UpdateTableInput{TableName: aws.String(table), StreamSpecification: stream}
	if _, err := client.UpdateTable(ctx, request); err != nil {
		return nil, err
	}
	return waitUntilActive(ctx, client)
}

func enableStream(ctx context.Context, client *dynamodb.Client) (string, error) {
	wanted := &types.StreamSpecification{
		StreamEnabled:  aws.Bool(true),
		StreamViewType: types.StreamViewTypeNewAndOldImages,
	}
	updated, err := updateStream(ctx, client, wanted)
	if err != nil {
		return "", err
	}
	return aws.ToString(updated.LatestStreamArn), same("the specification", updated.StreamSpecification, wanted)
}

func writeToStream(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(table)
	all := streamed()
	for range 2 {
		for _, reading := range all {
			item, err := attributevalue.MarshalMap(reading)
			if err != nil {
				return "", err
			}
			if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item}); err != nil {
				return "", err
			}
		}
	}
	values, err := attributevalue.MarshalMap(map[string]float64{":warmer": warmer})
	if err != nil {
		return "", err
	}
	for _, reading := range all {
		_, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName:                 name,
			Key:                       reading.key(),
			UpdateExpression:          aws.String("SET celsius = :warmer"),
			ExpressionAttributeValues: values,
		})
		if err != nil {
			return "", err
		}
	}
	for _, reading := range all {
		if _, err := client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: name, Key: reading.key()}); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d items put, updated and deleted", len(all)), nil
}

// So that it has an end.
func disableStream(ctx context.Context, client *dynamodb.Client) (string, error) {
	updated, err := updateStream(ctx, client, &types.StreamSpecification{StreamEnabled: aws.Bool(false)})
	if err != nil {
		return "", err
	}
	if updated.StreamSpecification != nil {
		return "", fmt.Errorf("expected no stream, got %+v", *updated.StreamSpecification)
	}
	return "the table has none", nil
}

// A record, as what it says of a reading; an image that it lacks is nil.
type change struct {
	event         streamtypes.OperationType
	before, after *reading
}

func (c change) String() string {
	return fmt.Sprintf("%s of %+v to %+v", c.event, c.before, c.after)
}

func readStream(ctx context.Context, _ *dynamodb.Client) (string, error) {
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return "", err
	}
	streams := dynamodbstreams.NewFromConfig(settings)
	listed, err := streams.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{TableName: aws.String(table)})
	if err != nil {
		return "", err
	}
	if err := same("the number of streams", len(listed.Streams), 1); err != nil {
		return "", err
	}
	arn := listed.Streams[0].StreamArn
	shards, err := shardsOf(ctx, streams, arn)
	if err != nil {
		return "", err
	}
	var records []streamtypes.Record
	for _, shard := range shards {
		found, err := recordsOf(ctx, streams, arn, shard)
		if err != nil {
			return "", err
		}
		if err := rising(found); err != nil {
			return "", err
		}
		records = append(records, found...)
	}
	return fmt.Sprintf("%d records", len(records)), sameChanges(records)
}

// Its shards, each behind the one whose place it took.
func shardsOf(ctx context.Context, streams *dynamodbstreams.Client, arn *string) ([]streamtypes.Shard, error) {
	var shards []streamtypes.Shard
	request := &dynamodbstreams.DescribeStreamInput{StreamArn: arn, Limit: aws.Int32(1)}
	for {
		described, err := streams.DescribeStream(ctx, request)
		if err != nil {
			return nil, err
		}
		shards = append(shards, described.StreamDescription.Shards...)
		request.ExclusiveStartShardId = described.StreamDescription.LastEvaluatedShardId
		if request.ExclusiveStartShardId == nil {
			return shards, nil
		}
	}
}

func recordsOf(ctx context.Context, streams *dynamodbstreams.Client, arn *string, shard streamtypes.Shard) ([]streamtypes.Record, error) {
	start, err := streams.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{
		StreamArn:         arn,
		ShardId:           shard.ShardId,
		ShardIteratorType: streamtypes.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		return nil, err
	}
	var records []streamtypes.Record
	for next := start.ShardIterator; next != nil; {
		page, err := streams.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(7)})
		if err != nil {
			return nil, err
		}
		if len(page.Records) == 0 {
			time.Sleep(50 * time.Millisecond)
		}
		records = append(records, page.Records...)
		next = page.NextShardIterator
	}
	return records, nil
}

// That each record of a shard has a greater number than the one before.
func rising(records []streamtypes.Record) error {
	last := big.NewInt(-1)
	for _, record := range records {
		text := aws.ToString(record.Dynamodb.SequenceNumber)
		number, ok := new(big.Int).SetString(text, 10)
		if !ok || number.Cmp(last) <= 0 {
			return fmt.Errorf("expected a number greater than %s, got %s", last, text)
		}
		last = number
	}
	return nil
}

// That these are the changes of what was streamed, those of each item in their order.
func sameChanges(records []streamtypes.Record) error {
	type key struct {
		Station string `dynamodbav:"station"`
		Hour    int    `dynamodbav:"hour"`
	}
	found, ids := map[key][]change{}, map[string]bool{}
	for _, record := range records {
		ids[aws.ToString(record.EventID)] = true
		if view := record.Dynamodb.StreamViewType; view != streamtypes.StreamViewTypeNewAndOldImages {
			return fmt.Errorf("expected the view NEW_AND_OLD_IMAGES, got %s", view)
		}
		var of key
		keys, err := attributevalue.FromDynamoDBStreamsMap(record.Dynamodb.Keys)
		if err != nil {
			return err
		}
		if err := attributevalue.UnmarshalMap(keys, &of); err != nil {
			return err
		}
		before, err := image(record.Dynamodb.OldImage)
		if err != nil {
			return err
		}
		after, err := image(record.Dynamodb.NewImage)
		if err != nil {
			return err
		}
		found[of] = append(found[of], change{record.EventName, before, after})
	}
	if err := same("the number of records", len(ids), 3*len(streamed())); err != nil {
		return err
	}
	for _, first := range streamed() {
		second := first
		second.Celsius = warmer
		changes := found[key{first.Station, first.Hour}]
		wanted := []change{
			{streamtypes.OperationTypeInsert, nil, &first},
			{streamtypes.OperationTypeModify, &first, &second},
			{streamtypes.OperationTypeRemove, &second, nil},
		}
		if err := same(fmt.Sprintf("the changes of %s %d", first.Station, first.Hour), changes, wanted); err != nil {
			return err
		}
	}
	return same("the records", len(records), len(ids))
}

func image(attributes map[string]streamtypes.AttributeValue) (*reading, error) {
	if attributes == nil {
		return nil, nil
	}
	item, err := attributevalue.FromDynamoDBStreamsMap(attributes)
	if err != nil {
		return nil, err
	}
	var found reading
	return &found, attributevalue.UnmarshalMap(item, &found)
}
