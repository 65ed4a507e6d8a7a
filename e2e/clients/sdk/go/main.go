// A table's life through the AWS SDK for Go v2: prints a line for each step, and ends at the first thing that is wrong.
//
// Endpoint, region and credentials come from the environment variables that the SDK reads.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// A run that takes longer hangs.
const longest = time.Minute

type step struct {
	name string
	// Gives what was seen, for the line that is printed.
	run func(context.Context, *dynamodb.Client) (string, error)
}

var steps = []step{
	{"a wrong secret is refused", refuseStrangers},
	{"create and wait", createTable},
	{"create again", createAgain},
	{"put", putOne},
	{"batch write", batchWrite},
	{"get", get},
	{"batch get", batchGet},
	{"query", query},
	{"query a local index", queryLocalIndex},
	{"scan", scan},
	{"scan in segments", scanSegments},
	{"update", update},
	{"conditions that fail", failConditions},
	{"all ten types", writeAllTypes},
	{"a transaction that is canceled", cancelTransaction},
	{"a transaction, twice with one token", transactWrite},
	{"transact get", transactGet},
	{"list and describe", listAndDescribe},
	{"time to live", setTimeToLive},
	{"PartiQL", executeStatement},
	{"delete an item", deleteOne},
	{"enable a stream", enableStream},
	{"changes for the stream", writeToStream},
	{"disable the stream", disableStream},
	{"read the stream", readStream},
	{"throttled, and got through by the SDK's retries", putThrottled},
	{"delete and wait", deleteTable},
	{"create with a global index", createWithGlobalIndex},
	{"query the global index", queryGlobalIndex},
	{"add a global index", addGlobalIndex},
	{"delete the global index", deleteGlobalIndex},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		end("the SDK's settings", err)
	}
	client := dynamodb.NewFromConfig(settings, func(options *dynamodb.Options) {
		options.EnableAcceptEncodingGzip = true
	})
	for _, step := range steps {
		seen, err := step.run(ctx, client)
		if err != nil {
			end(step.name, err)
		}
		fmt.Printf("%s: %s\n", step.name, seen)
	}
}

func end(name string, err error) {
	fmt.Fprintf(os.Stderr, "FAILED %s: %v\n", name, err)
	os.Exit(1)
}
