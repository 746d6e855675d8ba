package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxMLmodel is far more than MLflow writes.
const maxMLmodel = 1 << 20

// MLmodel reads what MLflow wrote about a model: its flavours with their settings, and its signature. Data are the files of
// the model that the flavours name, relative to the file's directory.
func MLmodel(f *File) (d *Description, data []string, err error) {
	if f.Size > maxMLmodel {
		return nil, nil, fmt.Errorf("not described: it has more than %d MiB", maxMLmodel>>20)
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	if err != nil {
		return nil, nil, fmt.Errorf("it cannot be read: %w", err)
	}
	var m struct {
		Flavors   map[string]map[string]any `yaml:"flavors"`
		Signature map[string]any            `yaml:"signature"`
		Version   string                    `yaml:"mlflow_version"`
		Created   string                    `yaml:"utc_time_created"`
		Bytes     int64                     `yaml:"model_size_bytes"`
		ID        string                    `yaml:"model_id"`
	}
	if err := yaml.Unmarshal(text, &m); err != nil {
		return nil, nil, fmt.Errorf("not described: %w", err)
	}
	if len(m.Flavors) == 0 && len(m.Signature) == 0 {
		return nil, nil, errors.New("not described: it names no flavour and no signature")
	}
	d = &Description{Format: "MLflow model"}
	d.fact("mlflow_version", m.Version)
	d.fact("created", m.Created)
	d.fact("model_id", m.ID)
	if m.Bytes > 0 {
		d.fact("model_size_bytes", fmt.Sprint(m.Bytes))
	}
	for _, flavor := range sortedKeys(m.Flavors) {
		settings := m.Flavors[flavor]
		var parts []string
		for k, v := range settings {
			switch v := v.(type) {
			case string:
				parts = append(parts, k+"="+v)
				if ends(v, ".onnx", ".keras", ".safetensors", ".npz", ".npy") && len(data) < 5 {
					data = append(data, v)
				}
			case int, float64, bool:
				parts = append(parts, fmt.Sprintf("%s=%v", k, v))
			}
		}
		sort.Strings(parts)
		d.fact("flavor "+cut(flavor, 100), strings.Join(parts, " "))
	}
	for _, side := range []string{"inputs", "outputs", "params"} {
		d.signature(side, m.Signature[side])
	}
	return d, data, nil
}

func ends(s string, with ...string) bool {
	for _, w := range with {
		if strings.HasSuffix(s, w) {
			return true
		}
	}
	return false
}

// signature reads one side of a signature, which is JSON in a string: columns or tensors.
func (d *Description) signature(side string, v any) {
	text, _ := v.(string)
	if text == "" {
		return
	}
	var columns []struct {
		Name   string `json:"name"`
		Type   any    `json:"type"`
		Tensor struct {
			DType string  `json:"dtype"`
			Shape []int64 `json:"shape"`
		} `json:"tensor-spec"`
	}
	if json.Unmarshal([]byte(text), &columns) != nil {
		d.fact(side, text)
		return
	}
	for _, c := range columns {
		a := Array{Name: strings.TrimSuffix(side, "s") + " " + cut(c.Name, 200)}
		a.Name = strings.TrimSpace(a.Name)
		if c.Tensor.DType != "" {
			a.DType, a.Shape = cut(c.Tensor.DType, 50), tuple(c.Tensor.Shape)
		} else {
			a.DType = cut(fmt.Sprint(c.Type), 100)
		}
		d.array(a)
	}
}
