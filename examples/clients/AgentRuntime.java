// An agent runtime: publishes a tool call and reads the clean topic.
// Needs org.apache.kafka:kafka-clients on the class path.
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.UUID;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public final class AgentRuntime {
  public static void main(String[] args) throws Exception {
    String agent = "finance-agent";

    // The Java producer's own partitioner (murmur2 of the key) is the one that Weir expects,
    // so `partitioner.class` stays unset; the key must be the agent id.
    Properties out = new Properties();
    out.put("bootstrap.servers", "127.0.0.1:9092");
    out.put("key.serializer", StringSerializer.class.getName());
    out.put("value.serializer", StringSerializer.class.getName());
    out.put("acks", "all");

    Properties in = new Properties();
    in.put("bootstrap.servers", "127.0.0.1:9092");
    in.put("group.id", "agent-runtime");
    in.put("key.deserializer", StringDeserializer.class.getName());
    in.put("value.deserializer", StringDeserializer.class.getName());
    // The Java client reads uncommitted records unless told otherwise. Weir writes in
    // transactions: without this line a reader acts on decisions that were never made.
    in.put("isolation.level", "read_committed");

    try (KafkaProducer<String, String> producer = new KafkaProducer<>(out);
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(in)) {
      String event =
          """
          {"v":1,"id":"%s","ts":%d,"kind":"tool_call","agent":{"id":"%s","type":"finance"},
           "session":"s-1","tool":{"name":"crm.lookup","call_id":"c-1","params":{"customer":"4711"}}}
          """
              .formatted(UUID.randomUUID(), System.currentTimeMillis(), agent);
      producer.send(new ProducerRecord<>("weir.events", agent, event)).get();

      // Allowed and redacted calls arrive here; blocked ones never do, and weir.verdicts says why.
      consumer.subscribe(List.of("weir.clean"));
      while (true) {
        consumer.poll(Duration.ofMillis(200)).forEach(record -> System.out.println(record.value()));
      }
    }
  }
}
