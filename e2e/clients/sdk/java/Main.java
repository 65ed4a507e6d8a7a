import java.util.List;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbEnhancedClient;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;

/**
 * A table's life through the AWS SDK for Java v2 and its enhanced client: prints a line for each step, and ends at the first
 * thing that is wrong.
 *
 * <p>Endpoint, region and credentials come from the environment variables that the SDK reads.
 */
public final class Main {
    /** A run that takes longer hangs. */
    private static final long LONGEST_MS = 60_000;

    /** What the steps share. */
    record Clients(DynamoDbClient client, DynamoDbEnhancedClient enhanced, DynamoDbTable<Reading> table) {}

    interface Step {
        /** Gives what was seen, for the line that is printed. */
        String run(Clients clients) throws Exception;
    }

    record Named(String name, Step step) {}

    private static final List<Named> STEPS = List.of(
            new Named("a wrong secret is refused", Tables::refuseStrangers),
            new Named("create and wait", Tables::create),
            new Named("create again", Tables::createAgain),
            new Named("put", Writes::putOne),
            new Named("batch write", Writes::batchWrite),
            new Named("get", Reads::get),
            new Named("batch get", Reads::batchGet),
            new Named("query", Reads::query),
            new Named("query a local index", Reads::queryLocalIndex),
            new Named("scan", Reads::scan),
            new Named("scan in segments", Reads::scanSegments),
            new Named("update", Writes::update),
            new Named("update with an expression", Writes::updateWithExpression),
            new Named("conditions that fail", Writes::failConditions),
            new Named("optimistic locking", Locked::lock),
            new Named("all ten types", Types::readAsWritten),
            new Named("all ten types, as a document", Types::readDocument),
            new Named("a transaction that is canceled", Transactions::cancel),
            new Named("a transaction, twice with one token", Transactions::write),
            new Named("transact get", Transactions::get),
            new Named("list and describe", Tables::listAndDescribe),
            new Named("time to live", Tables::setTimeToLive),
            new Named("PartiQL", Reads::executeStatement),
            new Named("delete an item", Writes::deleteOne),
            new Named("enable a stream", Streams::enable),
            new Named("changes for the stream", Streams::write),
            new Named("disable the stream", Streams::disable),
            new Named("read the stream", Streams::read),
            new Named("throttled, and got through by the SDK's retries", Writes::putThrottled),
            new Named("delete and wait", Tables::delete),
            new Named("create with a global index", GlobalIndexes::create),
            new Named("query the global index", GlobalIndexes::query),
            new Named("add a global index", GlobalIndexes::add),
            new Named("delete the global index", GlobalIndexes::delete));

    private static volatile String underWay = "nothing";

    public static void main(String[] arguments) {
        Thread hanging = new Thread(() -> {
            try {
                Thread.sleep(LONGEST_MS);
            } catch (InterruptedException end) {
                return;
            }
            System.err.println("FAILED " + underWay + ": no end after " + LONGEST_MS + " ms");
            Runtime.getRuntime().halt(1);
        });
        hanging.setDaemon(true);
        hanging.start();
        try (DynamoDbClient client = DynamoDbClient.create()) {
            DynamoDbEnhancedClient enhanced = DynamoDbEnhancedClient.builder().dynamoDbClient(client).build();
            var table = enhanced.table(Readings.TABLE, TableSchema.fromBean(Reading.class));
            Clients clients = new Clients(client, enhanced, table);
            for (Named named : STEPS) {
                underWay = named.name();
                System.out.println(named.name() + ": " + named.step().run(clients));
            }
        } catch (Throwable error) {
            System.err.print("FAILED " + underWay + ": ");
            error.printStackTrace();
            System.exit(1);
        }
    }
}
