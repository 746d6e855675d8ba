import java.lang.reflect.Constructor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.opensearch.Version;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.PluginInfo;

/** One OpenSearch node with its modules on the class path: Launch HOME key=value... */
public class Launch {
    private static final String[] MODULES = {
        "org.opensearch.transport.Netty4ModulePlugin", "org.opensearch.painless.PainlessModulePlugin",
        "org.opensearch.search.aggregations.matrix.MatrixAggregationModulePlugin",
        "org.opensearch.analysis.common.CommonAnalysisModulePlugin", "org.opensearch.index.reindex.ReindexModulePlugin",
        "org.opensearch.ingest.common.IngestCommonModulePlugin", "org.opensearch.index.mapper.MapperExtrasModulePlugin",
    };

    private static final class EmbeddedNode extends Node {
        @SuppressWarnings({"unchecked", "rawtypes"})
        EmbeddedNode(Environment environment, Collection plugins) {
            super(environment, plugins, false);
        }
    }

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        Files.createDirectories(home.resolve("config"));
        Settings.Builder settings = Settings.builder().put("path.home", home.toString());
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), home.resolve("config"), () -> "local");
        Node node = new EmbeddedNode(environment, plugins());
        node.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }));
        System.out.println("STARTED http://" + node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress());
        Until.end();
    }

    // The constructor takes classes in some versions and descriptions in others.
    private static List<Object> plugins() throws Exception {
        boolean described = false;
        for (Constructor<?> c : Node.class.getDeclaredConstructors()) {
            described |= c.getParameterCount() == 3 && c.getGenericParameterTypes()[1].getTypeName().contains("PluginInfo");
        }
        List<Object> plugins = new ArrayList<>();
        for (String module : MODULES) {
            Class<?> plugin;
            try {
                plugin = Class.forName(module);
            } catch (ClassNotFoundException e) {
                plugin = Class.forName(module.replace("ModulePlugin", "Plugin"));
            }
            plugins.add(described
                ? new PluginInfo(plugin.getName(), "on the class path", "1", Version.CURRENT, "17", plugin.getName(), null, List.of(), false)
                : plugin);
        }
        return plugins;
    }
}
