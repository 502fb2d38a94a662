import com.netflix.spectator.api.Clock;
import com.netflix.spectator.api.histogram.PercentileTimer;
import com.netflix.spectator.atlas.AtlasConfig;
import com.netflix.spectator.atlas.AtlasRegistry;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** Publishes known totals: `SpectatorPublish BASE_URI STEP_SECONDS ROUNDS`. */
public class SpectatorPublish {
  public static void main(String[] args) throws Exception {
    Duration step = Duration.ofSeconds(Integer.parseInt(args[1]));
    AtlasConfig config = new AtlasConfig() {
      @Override public String get(String key) { return null; }
      @Override public String uri() { return args[0] + "/api/v1/publish"; }
      @Override public Duration step() { return step; }
      @Override public Duration lwcStep() { return step; }
      @Override public Map<String, String> commonTags() { return Map.of("nf.app", "java"); }
    };
    AtlasRegistry registry = new AtlasRegistry(Clock.SYSTEM, config);
    registry.start();
    for (int i = 0; i < Integer.parseInt(args[2]); i++) {
      registry.counter("st.counter", "kind", "plain").increment(10);
      registry.timer("st.timer").record(20, TimeUnit.MILLISECONDS);
      registry.distributionSummary("st.summary").record(1000);
      registry.gauge("st.gauge").set(42.5);
      PercentileTimer.get(registry, registry.createId("st.percentiles")).record(50, TimeUnit.MILLISECONDS);
      Thread.sleep(100);
    }
    // Only whole steps are published while it runs.
    Thread.sleep(2 * step.toMillis());
    registry.stop();
  }
}
