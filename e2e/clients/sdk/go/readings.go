package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// What the table holds: more than one page of 1 MB, in 4 partition keys.
type reading struct {
	Station string  `dynamodbav:"station"`
	Hour    int     `dynamodbav:"hour"`
	Celsius float64 `dynamodbav:"celsius"`
	Note    string  `dynamodbav:"note"`
}

const hours = 30

func readings() []reading {
	var all []reading
	for _, station := range []string{"east", "north", "south", "west"} {
		for hour := range hours {
			note := strings.Repeat(fmt.Sprintf("%s %d, ", station, hour), 1200)
			all = append(all, reading{station, hour, celsiusAt(hour), note})
		}
	}
	return all
}

// No two of a station's are alike, and their order is not that of its hours: an index by them has an order of its own.
func celsiusAt(hour int) float64 {
	return float64(hour*7%hours)/4 - 3
}

func (r reading) key() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		"station": &types.AttributeValueMemberS{Value: r.Station},
		"hour":    &types.AttributeValueMemberN{Value: strconv.Itoa(r.Hour)},
	}
}

// That these items are the readings, in whatever order.
func sameReadings(items []map[string]types.AttributeValue, wanted []reading) error {
	var found []reading
	if err := attributevalue.UnmarshalListOfMaps(items, &found); err != nil {
		return err
	}
	slices.SortFunc(found, func(a, b reading) int {
		return cmp.Or(cmp.Compare(a.Station, b.Station), cmp.Compare(a.Hour, b.Hour))
	})
	if err := same("the number of items", len(found), len(wanted)); err != nil {
		return err
	}
	for index := range wanted {
		if err := same(fmt.Sprintf("item %d", index), found[index], wanted[index]); err != nil {
			return err
		}
	}
	return nil
}

func same(what string, found, wanted any) error {
	if reflect.DeepEqual(found, wanted) {
		return nil
	}
	// Their beginnings: an item is 10 KB long.
	return fmt.Errorf("%s: expected %.600s, got %.600s", what, fmt.Sprintf("%+v", wanted), fmt.Sprintf("%+v", found))
}
