package main

import (
	"bytes"
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type everything struct {
	Station  string                  `dynamodbav:"station"`
	Hour     int                     `dynamodbav:"hour"`
	Text     string                  `dynamodbav:"text"`
	Number   attributevalue.Number   `dynamodbav:"number"`
	Binary   []byte                  `dynamodbav:"binary"`
	Yes      bool                    `dynamodbav:"yes"`
	Null     *string                 `dynamodbav:"null"`
	List     []any                   `dynamodbav:"list"`
	Map      map[string]any          `dynamodbav:"map"`
	Texts    []string                `dynamodbav:"texts,stringset"`
	Numbers  []attributevalue.Number `dynamodbav:"numbers,numberset"`
	Binaries [][]byte                `dynamodbav:"binaries,binaryset"`
}

func writeAllTypes(ctx context.Context, client *dynamodb.Client) (string, error) {
	written := everything{
		Station:  "types",
		Text:     "ä, 語 and 🜁",
		Number:   "-1234567890.1234567890123456789012345678", // 38 digits
		Binary:   []byte{0, 255, 128},
		Yes:      true,
		List:     []any{"a", 1.5, []any{}, nil, false},
		Map:      map[string]any{"deep": map[string]any{"a b.c[0]": 2.0}, "none": ""},
		Texts:    []string{"", "a", "b"},
		Numbers:  []attributevalue.Number{"-1", "0.5", "10"},
		Binaries: [][]byte{{0}, {1, 2}},
	}
	item, err := attributevalue.MarshalMap(written)
	if err != nil {
		return "", err
	}
	name := aws.String(table)
	if _, err := client.PutItem(ctx, &dynamodb.PutItemInput{TableName: name, Item: item}); err != nil {
		return "", err
	}
	got, err := client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      name,
		Key:            reading{Station: written.Station, Hour: written.Hour}.key(),
		ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return "", err
	}
	inOrder(got.Item)
	if err := same("the item", got.Item, item); err != nil {
		return "", err
	}
	var read everything
	if err := attributevalue.UnmarshalMap(got.Item, &read); err != nil {
		return "", err
	}
	return "as written", same("the structure", read, written)
}

// Sets have no order.
func inOrder(item map[string]types.AttributeValue) {
	for _, value := range item {
		switch set := value.(type) {
		case *types.AttributeValueMemberSS:
			slices.Sort(set.Value)
		case *types.AttributeValueMemberNS:
			slices.Sort(set.Value)
		case *types.AttributeValueMemberBS:
			slices.SortFunc(set.Value, bytes.Compare)
		}
	}
}
