package report

import (
	"fmt"
	"path"
	"strings"

	"github.com/otelcol-mida/otelcol-mida/internal/glob"
)

// Conventions are names that are usual, as patterns in which upper and lower case are one. Names of fields are compared
// whole and by their last part. What a configuration lists is added to the usual ones.
type Conventions struct {
	// Hyperparameters are fields of used that count even where they look like a path or came with another task's result.
	Hyperparameters []string `mapstructure:"hyperparameters"`
	// Metrics are fields of generated that a training is expected to have: shown first, and said to be missing.
	Metrics []string `mapstructure:"metrics"`
	// Architecture are those of the hyperparameters that shape the model.
	Architecture []string `mapstructure:"architecture"`
	// Split are fields that say how data were divided for training and validation.
	Split []string `mapstructure:"split"`
	// Training are activities that train.
	Training []string `mapstructure:"training"`
	// Models, Images and Settings are names of files. Settings steer a task and are no data.
	Models   []string `mapstructure:"models"`
	Images   []string `mapstructure:"images"`
	Settings []string `mapstructure:"settings"`
	// Ignore are fields that are shown nowhere.
	Ignore []string `mapstructure:"ignore"`
}

var usual = Conventions{
	Architecture: []string{
		"layers", "*_layers", "n*layers", "hidden*", "units", "n_units", "neurons", "width", "depth", "filters", "kernel*", "channels",
		"*_channels", "heads", "*_heads", "embed*", "d_model", "activation*", "dropout*", "pooling*", "architecture", "arch", "backbone",
		"model_type", "model_class", "base_filters", "batch_norm*", "batchnorm*", "n_estimators", "max_depth", "num_leaves", "booster",
		"n_neighbors", "n_components", "max_features", "fit_intercept",
	},
	Split: []string{
		"*split*", "*val_size*", "*test_size*", "*train_size*", "*validation_size*", "*val_fraction*", "*validation_fraction*",
		"*train_fraction*", "*test_fraction*", "*holdout*", "*fold*", "cv", "n_train*", "n_val*", "n_test*", "num_train*", "num_val*",
		"train_samples", "val_samples", "*_train_samples", "*_val_samples", "train_ratio", "val_ratio",
	},
	Training: []string{"*train*", "fit", "fit_*", "*_fit", "*fine*tune*"},
	Models: []string{
		"*.pkl", "*.pickle", "*.joblib", "*.dill", "*.pt", "*.pth", "*.ckpt", "*.onnx", "*.safetensors", "*.gguf", "*.keras", "*.pb",
		"*.tflite", "*.bst", "*.ubj", "*.model", "*.weights", "*model*.npz", "*weights*.npz", "*model*.h5", "*weights*.h5", "*model*.hdf5", "*checkpoint*.h5", "mlmodel",
	},
	Images:   []string{"*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.svg", "*.pdf", "*.bmp"},
	Settings: []string{"*.json", "*.yaml", "*.yml", "*.toml", "*.ini", "*.cfg", "*.conf", "*.log", "*.py", "*.sh", "*.md"},
	Ignore:   []string{"metrics_history*", "mlflow_metrics_history*", "artifacts*", "mlflow_artifacts*", "run_id", "artifact_uri", "models.*"},
}

// expected are the metrics of a training that the report always speaks of.
var expected = []struct {
	name     string
	patterns []string
}{
	{"accuracy", []string{"*accuracy*", "acc", "acc_*", "*_acc"}},
	{"loss", []string{"*loss*"}},
}

// Validate says which pattern hardly can be meant as it is.
func (c Conventions) Validate() error {
	for name, list := range map[string][]string{
		"hyperparameters": c.Hyperparameters, "metrics": c.Metrics, "architecture": c.Architecture, "split": c.Split, "training": c.Training,
		"models": c.Models, "images": c.Images, "settings": c.Settings, "ignore": c.Ignore,
	} {
		for _, p := range list {
			if p == "" {
				return fmt.Errorf("%s: an empty pattern; want one such as *loss*", name)
			}
			if err := glob.Validate(p); err != nil {
				return fmt.Errorf("%s: %q: %w", name, p, err)
			}
		}
	}
	return nil
}

// withUsual adds the usual names.
func (c Conventions) withUsual() Conventions {
	join := func(a, b []string) []string {
		out := make([]string, 0, len(a)+len(b))
		for _, p := range append(append(out, a...), b...) {
			out = append(out, strings.ToLower(p))
		}
		return out
	}
	return Conventions{
		Hyperparameters: join(c.Hyperparameters, nil), Metrics: join(c.Metrics, nil), Architecture: join(c.Architecture, usual.Architecture),
		Split: join(c.Split, usual.Split), Training: join(c.Training, usual.Training), Models: join(c.Models, usual.Models),
		Images: join(c.Images, usual.Images), Settings: join(c.Settings, usual.Settings), Ignore: join(c.Ignore, usual.Ignore),
	}
}

// named says whether a field fits, by its whole name or by its last part.
func named(patterns []string, field string) bool {
	field = strings.ToLower(field)
	if glob.Any(patterns, field) {
		return true
	}
	dot := strings.LastIndexByte(field, '.')
	return dot >= 0 && glob.Any(patterns, field[dot+1:])
}

// Classes of files.
const (
	classModel    = "model"
	classImage    = "image"
	classSettings = "settings"
	classData     = "data"
	classRun      = "reference" // a run or a value: it says what was meant, and holds no data
)

// classOf tells what kind of thing an entity is, by its identity.
func (c Conventions) classOf(entity string) string {
	scheme, rest, _ := strings.Cut(entity, ":")
	switch scheme {
	case "value":
		return classRun
	case "mlflow":
		kind, name, _ := strings.Cut(rest, ":")
		if kind == "model" {
			return classModel
		}
		if !strings.Contains(name, "/") {
			return classRun
		}
		if strings.Contains(strings.ToLower(path.Base(name)), "model") {
			return classModel // a directory that MLflow made of it
		}
	}
	name := strings.ToLower(path.Base(rest))
	switch {
	case glob.Any(c.Models, name):
		return classModel
	case glob.Any(c.Images, name):
		return classImage
	case glob.Any(c.Settings, name):
		return classSettings
	}
	return classData
}

// isFile says whether an entity is something that lies somewhere, rather than a name in a tool.
func isFile(entity string) bool {
	return strings.HasPrefix(entity, "file:") || strings.HasPrefix(entity, "uri:") ||
		strings.HasPrefix(entity, "mlflow:run:") && strings.Contains(entity, "/")
}
