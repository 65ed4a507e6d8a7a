import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.model.EnhancedGlobalSecondaryIndex;
import software.amazon.awssdk.enhanced.dynamodb.model.IgnoreNullsMode;
import software.amazon.awssdk.enhanced.dynamodb.model.QueryConditional;
import software.amazon.awssdk.enhanced.dynamodb.model.UpdateItemEnhancedRequest;
import software.amazon.awssdk.services.dynamodb.model.CreateGlobalSecondaryIndexAction;
import software.amazon.awssdk.services.dynamodb.model.DynamoDbException;
import software.amazon.awssdk.services.dynamodb.model.GlobalSecondaryIndexUpdate;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.Projection;
import software.amazon.awssdk.services.dynamodb.model.ProjectionType;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;

/** Global indexes, on a table of their own: one from the start, and one that is added to what is there and deleted again. */
final class GlobalIndexes {
    /** What all stations read at an hour, without their notes. */
    static final String BY_HOUR = "by-hour";

    /** What a station read, as keys alone. */
    static final String COLDEST_FIRST = "coldest-first";

    private static final String TABLE = "stations.java";
    private static final int LOOKS_MOST = 400;
    private static final Duration LOOK_AGAIN = Duration.ofMillis(50);

    private static final Reading COLDEST = new Reading("east", 1, -40.0, null);
    private static final Reading GONE = new Reading("north", 1, null, null);

    private static final QueryConditional AT_ONE =
            QueryConditional.keyEqualTo(Key.builder().partitionValue(1).build());
    private static final QueryConditional EAST =
            QueryConditional.keyEqualTo(Key.builder().partitionValue("east").build());

    private static DynamoDbTable<Reading> table(Main.Clients clients) {
        return clients.enhanced().table(TABLE, TableSchema.fromBean(Reading.class));
    }

    /** The readings of some hours, with a note or without. */
    private static Stream<Reading> gauged(String note) {
        return Readings.all().stream()
                .filter(reading -> reading.getHour() < 6)
                .map(reading -> new Reading(reading.getStation(), reading.getHour(), reading.getCelsius(), note));
    }

    /** What is left of them, as an index shows it. */
    private static Stream<Reading> left() {
        return gauged(null)
                .filter(reading -> !reading.key().equals(GONE.key()))
                .map(reading -> reading.key().equals(COLDEST.key()) ? COLDEST : reading);
    }

    /** An index follows its table: looks until it is as it should be. Gives the number of looks. */
    private static int eventually(String what, Object wanted, Callable<Object> look) throws Exception {
        for (int looks = 1; ; looks++) {
            Object found = look.call();
            if (looks == LOOKS_MOST) {
                Readings.same(what, found, wanted);
            }
            if (Objects.equals(found, wanted)) {
                return looks;
            }
            Thread.sleep(LOOK_AGAIN.toMillis());
        }
    }

    /** Waits until the table is active and has these indexes, each active. */
    private static int waitFor(Main.Clients clients, String... names) throws Exception {
        Map<String, String> wanted = new HashMap<>(Map.of(TABLE, "ACTIVE"));
        for (String name : names) {
            wanted.put(name, "ACTIVE");
        }
        return eventually("the statuses", wanted, () -> {
            var described = table(clients).describeTable().table();
            Map<String, String> found = new HashMap<>(Map.of(TABLE, described.tableStatusAsString()));
            described.globalSecondaryIndexes()
                    .forEach(index -> found.put(index.indexName(), index.indexStatusAsString()));
            return found;
        });
    }

    private static List<Reading> query(Main.Clients clients, String index, QueryConditional condition) {
        var pages = table(clients).index(index).query(request -> request.queryConditional(condition).limit(2));
        return pages.stream().flatMap(page -> page.items().stream()).toList();
    }

    private static void invalid(Readings.Call call) throws Exception {
        var refused = Readings.refused(DynamoDbException.class, call);
        Readings.same("the code", refused.awsErrorDetails().errorCode(), "ValidationException");
    }

    static String create(Main.Clients clients) throws Exception {
        var index = EnhancedGlobalSecondaryIndex.builder()
                .indexName(BY_HOUR)
                .projection(include -> include.projectionType(ProjectionType.INCLUDE).nonKeyAttributes("celsius"))
                .build();
        table(clients).createTable(request -> request.globalSecondaryIndices(index));
        return BY_HOUR + " is ACTIVE at look " + waitFor(clients, BY_HOUR);
    }

    static String query(Main.Clients clients) throws Exception {
        gauged("not in an index").forEach(table(clients)::putItem);
        table(clients).updateItem(UpdateItemEnhancedRequest.builder(Reading.class)
                .item(COLDEST)
                .ignoreNullsMode(IgnoreNullsMode.SCALAR_ONLY)
                .build());
        table(clients).deleteItem(GONE.key());

        List<Reading> wanted = left().filter(reading -> reading.getHour() == 1).toList();
        int looks = eventually("the items", wanted, () -> query(clients, BY_HOUR, AT_ONE));
        invalid(() -> table(clients)
                .index(BY_HOUR)
                .query(request -> request.queryConditional(AT_ONE).consistentRead(true))
                .iterator()
                .next());
        return "as written at look " + looks + ", and ValidationException for a consistent read";
    }

    static String add(Main.Clients clients) throws Exception {
        var index = CreateGlobalSecondaryIndexAction.builder()
                .indexName(COLDEST_FIRST)
                .keySchema(Tables.key("station", KeyType.HASH), Tables.key("celsius", KeyType.RANGE))
                .projection(Projection.builder().projectionType(ProjectionType.KEYS_ONLY).build())
                .build();
        clients.client().updateTable(request -> request
                .tableName(TABLE)
                .attributeDefinitions(
                        Tables.attribute("celsius", ScalarAttributeType.N),
                        Tables.attribute("station", ScalarAttributeType.S))
                .globalSecondaryIndexUpdates(GlobalSecondaryIndexUpdate.builder().create(index).build()));
        int looks = waitFor(clients, BY_HOUR, COLDEST_FIRST);
        List<Reading> wanted = left()
                .filter(reading -> reading.getStation().equals("east"))
                .sorted(Comparator.comparing(Reading::getCelsius))
                .toList();
        eventually("the items", wanted, () -> query(clients, COLDEST_FIRST, EAST));
        return "ACTIVE at look " + looks + ", and " + wanted.size() + " items in its order";
    }

    static String delete(Main.Clients clients) throws Exception {
        var update = GlobalSecondaryIndexUpdate.builder().delete(index -> index.indexName(COLDEST_FIRST)).build();
        clients.client().updateTable(request -> request.tableName(TABLE).globalSecondaryIndexUpdates(update));
        int looks = waitFor(clients, BY_HOUR);
        invalid(() -> query(clients, COLDEST_FIRST, EAST));
        table(clients).deleteTable();
        Tables.waitUntilGone(clients, TABLE);
        return "gone at look " + looks + ", then the table";
    }

    private GlobalIndexes() {}
}
