package rulescmd

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"gopkg.in/yaml.v3"

	"github.com/otelcol-mida/otelcol-mida/internal/capture"
	"github.com/otelcol-mida/otelcol-mida/internal/rules"
)

// load reads a rules file, or the rules and the capture policy of a receiver in the collector's configuration.
func load(path, receiver string) (rules.Spec, capture.Config, error) {
	policy := capture.NewDefaultConfig()
	data, err := os.ReadFile(path)
	if err != nil {
		return rules.Spec{}, policy, fmt.Errorf("--config: %w", err)
	}
	var top map[string]any
	if err := yaml.Unmarshal(data, &top); err != nil {
		return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
	}
	if _, collector := top["receivers"]; !collector {
		spec, err := rules.Parse(data)
		if err != nil {
			return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
		}
		return spec, policy, nil
	}
	spec, err := fromCollector(path, receiver, &policy)
	if err != nil {
		return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
	}
	return spec, policy, nil
}

// fromCollector resolves the configuration as the collector does: ${env:…}, ${file:…} and $$.
func fromCollector(path, receiver string, policy *capture.Config) (rules.Spec, error) {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + path},
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	if err != nil {
		return rules.Spec{}, err
	}
	ctx := context.Background()
	conf, err := resolver.Resolve(ctx)
	if err != nil {
		return rules.Spec{}, err
	}
	defer func() { _ = resolver.Shutdown(ctx) }()
	all, err := conf.Sub("receivers")
	if err != nil {
		return rules.Spec{}, err
	}
	var ids []string
	for id := range all.ToStringMap() {
		if id == "tasklog" || strings.HasPrefix(id, "tasklog/") {
			ids = append(ids, id)
		}
	}
	sort.Strings(ids)
	switch {
	case receiver != "":
		if i := sort.SearchStrings(ids, receiver); i == len(ids) || ids[i] != receiver {
			return rules.Spec{}, fmt.Errorf("--receiver: there is no %q; there is %s", receiver, strings.Join(ids, ", "))
		}
	case len(ids) == 0:
		return rules.Spec{}, fmt.Errorf("receivers: there is no tasklog")
	case len(ids) > 1:
		return rules.Spec{}, fmt.Errorf("receivers: choose one with --receiver: %s", strings.Join(ids, ", "))
	default:
		receiver = ids[0]
	}
	sub, err := all.Sub(receiver)
	if err != nil {
		return rules.Spec{}, err
	}
	section, err := sub.Sub("capture")
	if err == nil {
		err = section.Unmarshal(policy)
	}
	if err == nil {
		err = policy.Validate()
	}
	if err != nil {
		return rules.Spec{}, fmt.Errorf("receivers: %s: capture: %w", receiver, err)
	}
	if file, ok := sub.Get("rules_file").(string); ok && file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return rules.Spec{}, fmt.Errorf("receivers: %s: rules_file: %w", receiver, err)
		}
		return rules.Parse(data)
	}
	var spec rules.Spec
	if err := sub.Unmarshal(&spec, confmap.WithIgnoreUnused()); err != nil {
		return rules.Spec{}, fmt.Errorf("receivers: %s: %w", receiver, err)
	}
	return spec, nil
}
