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
	"github.com/otelcol-mida/otelcol-mida/receiver/tasklogreceiver"
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
		if _, explained := rules.Parse(data); explained != nil {
			err = explained
		}
		return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
	}
	if _, collector := top["receivers"]; !collector {
		if receiver != "" {
			return rules.Spec{}, policy, fmt.Errorf("--receiver: %q: %s is a file of rules, and has no receivers", receiver, path)
		}
		spec, err := rules.Parse(data)
		if err != nil {
			return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
		}
		return spec, policy, nil
	}
	cfg, err := fromCollector(path, receiver)
	if err != nil {
		return rules.Spec{}, policy, fmt.Errorf("%s: %w", path, err)
	}
	return cfg.Spec, cfg.Capture, nil
}

// fromCollector resolves the configuration as the collector does: ${env:…}, ${file:…} and $$.
func fromCollector(path, receiver string) (*tasklogreceiver.Config, error) {
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"file:" + path},
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	conf, err := resolver.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resolver.Shutdown(ctx) }()
	all, err := conf.Sub("receivers")
	if err != nil {
		return nil, err
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
			return nil, fmt.Errorf("--receiver: there is no %q; there is %s", receiver, strings.Join(ids, ", "))
		}
	case len(ids) == 0:
		return nil, fmt.Errorf("receivers: there is no tasklog")
	case len(ids) > 1:
		return nil, fmt.Errorf("receivers: choose one with --receiver: %s", strings.Join(ids, ", "))
	default:
		receiver = ids[0]
	}
	sub, err := all.Sub(receiver)
	if err != nil {
		return nil, err
	}
	cfg := tasklogreceiver.NewFactory().CreateDefaultConfig().(*tasklogreceiver.Config)
	// As the collector does, so that a key that it would refuse is refused here.
	if err := sub.Unmarshal(cfg); err != nil {
		return nil, fmt.Errorf("receivers: %s: %w", receiver, err)
	}
	if err := cfg.Capture.Validate(); err != nil {
		return nil, fmt.Errorf("receivers: %s: capture: %w", receiver, err)
	}
	if cfg.RulesFile == "" {
		return cfg, nil
	}
	data, err := os.ReadFile(cfg.RulesFile)
	if err != nil {
		return nil, fmt.Errorf("receivers: %s: rules_file: %w", receiver, err)
	}
	if cfg.Spec, err = rules.Parse(data); err != nil {
		return nil, fmt.Errorf("receivers: %s: rules_file %q: %w", receiver, cfg.RulesFile, err)
	}
	return cfg, nil
}
