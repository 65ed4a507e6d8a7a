import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.enhanced.dynamodb.AttributeConverterProvider;
import software.amazon.awssdk.enhanced.dynamodb.AttributeValueType;
import software.amazon.awssdk.enhanced.dynamodb.TableMetadata;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.document.EnhancedDocument;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** All ten types, read back as they were written. */
final class Types {
    private static final String DIGITS_38 = "-1234567890.1234567890123456789012345678";

    static String readAsWritten(Main.Clients clients) {
        Map<String, AttributeValue> item = item(0);
        clients.client().putItem(request -> request.tableName(Readings.TABLE).item(item));
        var got = clients.client().getItem(request ->
                request.tableName(Readings.TABLE).key(Readings.plainKey("types", 0)).consistentRead(true));
        Readings.same("the item", inOrder(got.item()), item);
        return "as written";
    }

    static String readDocument(Main.Clients clients) {
        var schema = TableSchema.documentSchemaBuilder()
                .addIndexPartitionKey(TableMetadata.primaryIndexName(), "station", AttributeValueType.S)
                .addIndexSortKey(TableMetadata.primaryIndexName(), "hour", AttributeValueType.N)
                .attributeConverterProviders(AttributeConverterProvider.defaultProvider())
                .build();
        var table = clients.enhanced().table(Readings.TABLE, schema);
        EnhancedDocument document = EnhancedDocument.fromAttributeValueMap(item(1));
        table.putItem(document);
        EnhancedDocument got = table.getItem(request -> request.key(Readings.key("types", 1)).consistentRead(true));
        Readings.same("the document", inOrder(got.toMap()), item(1));
        Readings.same("its number", got.getNumber("number").bigDecimalValue().toString(), DIGITS_38);
        return "as written";
    }

    private static Map<String, AttributeValue> item(int hour) {
        Map<String, AttributeValue> item = new HashMap<>(Readings.plainKey("types", hour));
        item.put("text", AttributeValue.fromS("ä, 語 and 🜁"));
        item.put("number", AttributeValue.fromN(DIGITS_38));
        item.put("binary", AttributeValue.fromB(bytes(0, 255, 128)));
        item.put("yes", AttributeValue.fromBool(true));
        item.put("nothing", AttributeValue.fromNul(true));
        item.put("list", AttributeValue.fromL(List.of(
                AttributeValue.fromS("a"),
                AttributeValue.fromN("1.5"),
                AttributeValue.fromL(List.of()),
                AttributeValue.fromNul(true),
                AttributeValue.fromBool(false))));
        item.put("map", AttributeValue.fromM(Map.of(
                "deep", AttributeValue.fromM(Map.of("a b.c[0]", AttributeValue.fromN("2"))),
                "none", AttributeValue.fromS(""))));
        item.put("texts", AttributeValue.fromSs(List.of("", "a", "b")));
        item.put("numbers", AttributeValue.fromNs(List.of("-1", "0.5", "10")));
        item.put("binaries", AttributeValue.fromBs(List.of(bytes(0), bytes(1, 2))));
        return item;
    }

    private static SdkBytes bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int index = 0; index < values.length; index++) {
            bytes[index] = (byte) values[index];
        }
        return SdkBytes.fromByteArray(bytes);
    }

    /** Sets have no order. */
    private static Map<String, AttributeValue> inOrder(Map<String, AttributeValue> item) {
        Map<String, AttributeValue> ordered = new HashMap<>(item);
        ordered.computeIfPresent("texts", (name, set) -> AttributeValue.fromSs(set.ss().stream().sorted().toList()));
        ordered.computeIfPresent("numbers", (name, set) -> AttributeValue.fromNs(
                set.ns().stream().sorted(Comparator.comparingDouble(Double::parseDouble)).toList()));
        ordered.computeIfPresent("binaries", (name, set) -> AttributeValue.fromBs(
                set.bs().stream().sorted(Comparator.comparing(SdkBytes::asByteBuffer)).toList()));
        return ordered;
    }

    private Types() {}
}
