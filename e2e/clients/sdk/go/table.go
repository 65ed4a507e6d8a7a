package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
)

const (
	table = "readings.go"
	// By celsius; it has the keys alone.
	localIndex = "by-celsius"
	waitMost   = 20 * time.Second
)

func refuseStrangers(ctx context.Context, client *dynamodb.Client) (string, error) {
	known, err := client.Options().Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	// A client of its own: one keeps the keys it signs with by access key, whatever the secret.
	wrong := credentials.NewStaticCredentialsProvider(known.AccessKeyID, "not the secret", "")
	settings, err := config.LoadDefaultConfig(ctx, config.WithCredentialsProvider(wrong))
	if err != nil {
		return "", err
	}
	_, err = dynamodb.NewFromConfig(settings).ListTables(ctx, &dynamodb.ListTablesInput{})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "InvalidSignatureException" {
		return "", fmt.Errorf("expected InvalidSignatureException, got %v", err)
	}
	return refused.ErrorCode(), nil
}

func definition() *dynamodb.CreateTableInput {
	return &dynamodb.CreateTableInput{
		TableName: aws.String(table),
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("celsius"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("hour"), AttributeType: types.ScalarAttributeTypeN},
			{AttributeName: aws.String("station"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("station"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("hour"), KeyType: types.KeyTypeRange},
		},
		LocalSecondaryIndexes: []types.LocalSecondaryIndex{{
			IndexName: aws.String(localIndex),
			KeySchema: []types.KeySchemaElement{
				{AttributeName: aws.String("station"), KeyType: types.KeyTypeHash},
				{AttributeName: aws.String("celsius"), KeyType: types.KeyTypeRange},
			},
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		}},
		BillingMode: types.BillingModePayPerRequest,
	}
}

func createTable(ctx context.Context, client *dynamodb.Client) (string, error) {
	created, err := client.CreateTable(ctx, definition())
	if err != nil {
		return "", err
	}
	if status := created.TableDescription.TableStatus; status != types.TableStatusCreating {
		return "", fmt.Errorf("expected the status CREATING, got %s", status)
	}
	active, err := waitUntilActive(ctx, client)
	if err != nil {
		return "", err
	}
	return string(active.TableStatus), nil
}

func waitUntilActive(ctx context.Context, client *dynamodb.Client) (*types.TableDescription, error) {
	waiter := dynamodb.NewTableExistsWaiter(client, func(options *dynamodb.TableExistsWaiterOptions) {
		options.MinDelay, options.MaxDelay = 100*time.Millisecond, time.Second
	})
	described, err := waiter.WaitForOutput(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)}, waitMost)
	if err != nil {
		return nil, err
	}
	return described.Table, nil
}

func createAgain(ctx context.Context, client *dynamodb.Client) (string, error) {
	_, err := client.CreateTable(ctx, definition())
	var inUse *types.ResourceInUseException
	if !errors.As(err, &inUse) {
		return "", fmt.Errorf("expected ResourceInUseException, got %v", err)
	}
	return inUse.ErrorMessage(), nil
}

func listAndDescribe(ctx context.Context, client *dynamodb.Client) (string, error) {
	var listed []string
	pages := dynamodb.NewListTablesPaginator(client, &dynamodb.ListTablesInput{Limit: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		listed = append(listed, page.TableNames...)
	}
	if !slices.Contains(listed, table) {
		return "", fmt.Errorf("expected %s among the tables, got %v", table, listed)
	}
	described, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(table)})
	if err != nil {
		return "", err
	}
	found, wanted := described.Table, definition()
	if err := same("the key schema", found.KeySchema, wanted.KeySchema); err != nil {
		return "", err
	}
	slices.SortFunc(found.AttributeDefinitions, func(a, b types.AttributeDefinition) int {
		return cmp.Compare(*a.AttributeName, *b.AttributeName)
	})
	if err := same("the attributes", found.AttributeDefinitions, wanted.AttributeDefinitions); err != nil {
		return "", err
	}
	if err := same("the number of local indexes", len(found.LocalSecondaryIndexes), 1); err != nil {
		return "", err
	}
	index := found.LocalSecondaryIndexes[0]
	declared := types.LocalSecondaryIndex{IndexName: index.IndexName, KeySchema: index.KeySchema, Projection: index.Projection}
	if err := same("the local index", declared, wanted.LocalSecondaryIndexes[0]); err != nil {
		return "", err
	}
	if age := time.Since(*found.CreationDateTime); age < -time.Second || age > longest+time.Second {
		return "", fmt.Errorf("expected a table made just now, got one of %s", found.CreationDateTime)
	}
	return *found.TableArn, nil
}

func setTimeToLive(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(table)
	before, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: name})
	if err != nil {
		return "", err
	}
	if status := before.TimeToLiveDescription.TimeToLiveStatus; status != types.TimeToLiveStatusDisabled {
		return "", fmt.Errorf("expected the status DISABLED, got %s", status)
	}
	wanted := &types.TimeToLiveSpecification{AttributeName: aws.String("expires"), Enabled: aws.Bool(true)}
	updated, err := client.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
		TableName:               name,
		TimeToLiveSpecification: wanted,
	})
	if err != nil {
		return "", err
	}
	if err := same("the specification", updated.TimeToLiveSpecification, wanted); err != nil {
		return "", err
	}
	after, err := client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: name})
	if err != nil {
		return "", err
	}
	attribute, status := after.TimeToLiveDescription.AttributeName, after.TimeToLiveDescription.TimeToLiveStatus
	if status != types.TimeToLiveStatusEnabling && status != types.TimeToLiveStatusEnabled {
		return "", fmt.Errorf("expected the status ENABLING or ENABLED, got %s", status)
	}
	return fmt.Sprintf("by expires, %s", status), same("the attribute", aws.ToString(attribute), "expires")
}

func deleteTable(ctx context.Context, client *dynamodb.Client) (string, error) {
	name := aws.String(table)
	if _, err := client.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: name}); err != nil {
		return "", err
	}
	waiter := dynamodb.NewTableNotExistsWaiter(client, func(options *dynamodb.TableNotExistsWaiterOptions) {
		options.MinDelay, options.MaxDelay = 100*time.Millisecond, time.Second
	})
	if err := waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: name}, waitMost); err != nil {
		return "", err
	}
	_, err := client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: name})
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) {
		return "", fmt.Errorf("expected ResourceNotFoundException, got %v", err)
	}
	return gone.ErrorMessage(), nil
}
