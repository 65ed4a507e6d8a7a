import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.enhanced.dynamodb.model.CreateTableEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.EnhancedLocalSecondaryIndex;
import software.amazon.awssdk.retries.api.BackoffStrategy;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeDefinition;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.DynamoDbException;
import software.amazon.awssdk.services.dynamodb.model.KeySchemaElement;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.Projection;
import software.amazon.awssdk.services.dynamodb.model.ProjectionType;
import software.amazon.awssdk.services.dynamodb.model.ResourceInUseException;
import software.amazon.awssdk.services.dynamodb.model.ResourceNotFoundException;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.dynamodb.model.TableDescription;
import software.amazon.awssdk.services.dynamodb.model.TimeToLiveSpecification;
import software.amazon.awssdk.services.dynamodb.model.TimeToLiveStatus;
import software.amazon.awssdk.services.dynamodb.waiters.DynamoDbWaiter;

/** The table itself. */
final class Tables {
    private static final Duration WAIT_MOST = Duration.ofSeconds(20);
    private static final Duration YOUNG = Duration.ofSeconds(61);
    private static final Projection KEYS_ONLY =
            Projection.builder().projectionType(ProjectionType.KEYS_ONLY).build();

    /** The keys, the index's too, come from the bean. */
    private static final CreateTableEnhancedRequest DEFINITION = CreateTableEnhancedRequest.builder()
            .localSecondaryIndices(EnhancedLocalSecondaryIndex.create(Readings.LOCAL_INDEX, KEYS_ONLY))
            .build();

    static String refuseStrangers(Main.Clients clients) throws Exception {
        String known;
        try (var provider = DefaultCredentialsProvider.builder().build()) {
            known = provider.resolveCredentials().accessKeyId();
        }
        var wrong = StaticCredentialsProvider.create(AwsBasicCredentials.create(known, "not the secret"));
        try (DynamoDbClient stranger = DynamoDbClient.builder().credentialsProvider(wrong).build()) {
            var refused = Readings.refused(DynamoDbException.class, stranger::listTables);
            Readings.same("the code", refused.awsErrorDetails().errorCode(), "InvalidSignatureException");
            return refused.awsErrorDetails().errorCode();
        }
    }

    static String create(Main.Clients clients) {
        clients.table().createTable(DEFINITION);
        return waitUntilActive(clients).tableStatusAsString();
    }

    static TableDescription waitUntilActive(Main.Clients clients) {
        try (DynamoDbWaiter waiter = waiter(clients)) {
            var waited = waiter.waitUntilTableExists(request -> request.tableName(Readings.TABLE));
            return waited.matched().response().orElseThrow().table();
        }
    }

    static String createAgain(Main.Clients clients) throws Exception {
        var inUse = Readings.refused(ResourceInUseException.class, () -> {
            clients.table().createTable(DEFINITION);
            return "a second table";
        });
        return inUse.awsErrorDetails().errorMessage();
    }

    static String listAndDescribe(Main.Clients clients) {
        List<String> listed = clients.client().listTablesPaginator(request -> request.limit(1)).tableNames().stream()
                .collect(Collectors.toList());
        Readings.holds(Readings.TABLE + " among " + listed, listed.contains(Readings.TABLE));
        TableDescription table = clients.table().describeTable().table();
        Readings.same("the key schema", table.keySchema(), List.of(key("station", KeyType.HASH), key("hour", KeyType.RANGE)));
        var attributes = table.attributeDefinitions().stream()
                .sorted(Comparator.comparing(AttributeDefinition::attributeName))
                .toList();
        Readings.same("the attributes", attributes,
                List.of(
                        attribute("celsius", ScalarAttributeType.N),
                        attribute("hour", ScalarAttributeType.N),
                        attribute("station", ScalarAttributeType.S)));
        Readings.same("the number of local indexes", table.localSecondaryIndexes().size(), 1);
        var index = table.localSecondaryIndexes().get(0);
        Readings.same("the local index", index.indexName(), Readings.LOCAL_INDEX);
        Readings.same("its key schema", index.keySchema(),
                List.of(key("station", KeyType.HASH), key("celsius", KeyType.RANGE)));
        Readings.same("its projection", index.projection(), KEYS_ONLY);
        Readings.same("the billing mode", table.billingModeSummary().billingMode(), BillingMode.PAY_PER_REQUEST);
        Duration age = Duration.between(table.creationDateTime(), Instant.now());
        Readings.holds("a table made just now is " + age + " old",
                age.compareTo(Duration.ofSeconds(-1)) > 0 && age.compareTo(YOUNG) < 0);
        return table.tableArn();
    }

    static String setTimeToLive(Main.Clients clients) {
        var before = clients.client().describeTimeToLive(request -> request.tableName(Readings.TABLE));
        Readings.same("the status before", before.timeToLiveDescription().timeToLiveStatus(), TimeToLiveStatus.DISABLED);
        var wanted = TimeToLiveSpecification.builder().attributeName("expires").enabled(true).build();
        var updated = clients.client()
                .updateTimeToLive(request -> request.tableName(Readings.TABLE).timeToLiveSpecification(wanted));
        Readings.same("the specification", updated.timeToLiveSpecification(), wanted);
        var after = clients.client().describeTimeToLive(request -> request.tableName(Readings.TABLE))
                .timeToLiveDescription();
        Readings.same("the attribute", after.attributeName(), "expires");
        Readings.holds("expected the status ENABLING or ENABLED, got " + after.timeToLiveStatusAsString(),
                List.of(TimeToLiveStatus.ENABLING, TimeToLiveStatus.ENABLED).contains(after.timeToLiveStatus()));
        return "by expires, " + after.timeToLiveStatusAsString();
    }

    static String delete(Main.Clients clients) throws Exception {
        clients.table().deleteTable();
        waitUntilGone(clients, Readings.TABLE);
        var gone = Readings.refused(ResourceNotFoundException.class, () -> clients.table().describeTable());
        return gone.awsErrorDetails().errorMessage();
    }

    static void waitUntilGone(Main.Clients clients, String table) {
        try (DynamoDbWaiter waiter = waiter(clients)) {
            waiter.waitUntilTableNotExists(request -> request.tableName(table));
        }
    }

    private static DynamoDbWaiter waiter(Main.Clients clients) {
        return DynamoDbWaiter.builder()
                .client(clients.client())
                .overrideConfiguration(settings -> settings
                        .backoffStrategyV2(BackoffStrategy.fixedDelay(Duration.ofMillis(200)))
                        .maxAttempts(100)
                        .waitTimeout(WAIT_MOST))
                .build();
    }

    static KeySchemaElement key(String name, KeyType type) {
        return KeySchemaElement.builder().attributeName(name).keyType(type).build();
    }

    static AttributeDefinition attribute(String name, ScalarAttributeType type) {
        return AttributeDefinition.builder().attributeName(name).attributeType(type).build();
    }

    private Tables() {}
}
