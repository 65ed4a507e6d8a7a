import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.OperationType;
import software.amazon.awssdk.services.dynamodb.model.Record;
import software.amazon.awssdk.services.dynamodb.model.Shard;
import software.amazon.awssdk.services.dynamodb.model.ShardIteratorType;
import software.amazon.awssdk.services.dynamodb.model.StreamSpecification;
import software.amazon.awssdk.services.dynamodb.model.StreamViewType;
import software.amazon.awssdk.services.dynamodb.model.TableDescription;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;

/** The table's stream: what is changed while it is enabled, read from its first record to its end. */
final class Streams {
    private static final double WARMER = 1.5;

    /** What is put, put again as it is, which is no change, then updated and deleted. */
    private static final List<Reading> STREAMED = Stream.of("moon", "sun")
            .flatMap(station -> IntStream.range(0, 3).mapToObj(hour -> new Reading(station, hour, 0.0, "sky")))
            .toList();

    /** A record, as what it says of a reading; an image that it lacks is null. */
    private record Change(OperationType event, Reading before, Reading after) {}

    private static TableDescription update(Main.Clients clients, StreamSpecification stream) {
        clients.client().updateTable(request -> request.tableName(Readings.TABLE).streamSpecification(stream));
        return Tables.waitUntilActive(clients);
    }

    static String enable(Main.Clients clients) {
        var wanted = StreamSpecification.builder()
                .streamEnabled(true)
                .streamViewType(StreamViewType.NEW_AND_OLD_IMAGES)
                .build();
        TableDescription updated = update(clients, wanted);
        Readings.same("the specification", updated.streamSpecification(), wanted);
        return updated.latestStreamArn();
    }

    static String write(Main.Clients clients) {
        STREAMED.forEach(clients.table()::putItem);
        STREAMED.forEach(clients.table()::putItem);
        STREAMED.forEach(reading -> clients.table().updateItem(reading.warmer(WARMER)));
        STREAMED.forEach(clients.table()::deleteItem);
        return STREAMED.size() + " items put, updated and deleted";
    }

    /** So that it has an end. */
    static String disable(Main.Clients clients) {
        TableDescription updated = update(clients, StreamSpecification.builder().streamEnabled(false).build());
        Readings.same("the specification", updated.streamSpecification(), null);
        return "the table has none";
    }

    static String read(Main.Clients clients) throws InterruptedException {
        List<Record> records = new ArrayList<>();
        try (DynamoDbStreamsClient streams = DynamoDbStreamsClient.create()) {
            var listed = streams.listStreams(request -> request.tableName(Readings.TABLE)).streams();
            Readings.same("the number of streams", listed.size(), 1);
            String arn = listed.get(0).streamArn();
            for (Shard shard : shards(streams, arn)) {
                List<Record> found = records(streams, arn, shard);
                Readings.holds("expected the numbers of " + found + " to rise", rises(found));
                records.addAll(found);
            }
        }
        Readings.same("the number of records", records.size(), 3 * STREAMED.size());
        long ids = records.stream().map(Record::eventID).distinct().count();
        Readings.same("the number of their ids", ids, (long) records.size());
        for (Record record : records) {
            Readings.same("the view", record.dynamodb().streamViewType(), StreamViewType.NEW_AND_OLD_IMAGES);
        }
        Map<Map<String, AttributeValue>, List<Change>> found = records.stream().collect(Collectors.groupingBy(
                record -> record.dynamodb().keys(), Collectors.mapping(Streams::change, Collectors.toList())));
        for (Reading first : STREAMED) {
            Reading second = first.warmer(WARMER);
            Readings.same("the changes of " + first, found.get(Readings.plainKey(first.getStation(), first.getHour())),
                    List.of(
                            new Change(OperationType.INSERT, null, first),
                            new Change(OperationType.MODIFY, first, second),
                            new Change(OperationType.REMOVE, second, null)));
        }
        return records.size() + " records";
    }

    /** Its shards, each behind the one whose place it took. */
    private static List<Shard> shards(DynamoDbStreamsClient streams, String arn) {
        List<Shard> shards = new ArrayList<>();
        String last = null;
        do {
            String after = last;
            var description = streams.describeStream(request ->
                    request.streamArn(arn).limit(1).exclusiveStartShardId(after)).streamDescription();
            shards.addAll(description.shards());
            last = description.lastEvaluatedShardId();
        } while (last != null);
        return shards;
    }

    private static List<Record> records(DynamoDbStreamsClient streams, String arn, Shard shard)
            throws InterruptedException {
        List<Record> records = new ArrayList<>();
        String next = streams.getShardIterator(request -> request
                        .streamArn(arn)
                        .shardId(shard.shardId())
                        .shardIteratorType(ShardIteratorType.TRIM_HORIZON))
                .shardIterator();
        while (next != null) {
            String iterator = next;
            var page = streams.getRecords(request -> request.shardIterator(iterator).limit(7));
            if (page.records().isEmpty()) {
                Thread.sleep(50);
            }
            records.addAll(page.records());
            next = page.nextShardIterator();
        }
        return records;
    }

    private static boolean rises(List<Record> records) {
        List<BigInteger> numbers = records.stream()
                .map(record -> new BigInteger(record.dynamodb().sequenceNumber()))
                .toList();
        return numbers.equals(numbers.stream().sorted().distinct().toList());
    }

    private static Change change(Record record) {
        var schema = TableSchema.fromBean(Reading.class);
        var change = record.dynamodb();
        return new Change(
                record.eventName(),
                change.hasOldImage() ? schema.mapToItem(change.oldImage()) : null,
                change.hasNewImage() ? schema.mapToItem(change.newImage()) : null);
    }

    private Streams() {}
}
