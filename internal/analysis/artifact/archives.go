package artifact

import (
	"archive/zip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// describeZip tells the files apart that are zip archives: NumPy's, Keras's, PyTorch's.
func describeZip(f *File) (*Description, error) {
	z, err := zip.NewReader(f, f.Size)
	if err != nil {
		return nil, fmt.Errorf("not described: the archive is damaged: %w", err)
	}
	var config, metadata *zip.File
	arrays := 0
	for _, e := range z.File {
		switch {
		case e.Name == "config.json":
			config = e
		case e.Name == "metadata.json":
			metadata = e
		case strings.HasSuffix(e.Name, ".npy"):
			arrays++
		case strings.HasSuffix(e.Name, "/data.pkl") || e.Name == "data.pkl":
			return nil, errors.New("not described: to read a pickle is to run what is in it")
		}
	}
	switch {
	case config != nil:
		return describeKeras(config, metadata)
	case arrays > 0:
		return describeNPZ(z)
	}
	return nil, errors.New("not described: an archive of no known kind")
}

func describeNPZ(z *zip.Reader) (*Description, error) {
	d := &Description{Format: "NumPy arrays"}
	for _, e := range z.File {
		name, isArray := strings.CutSuffix(e.Name, ".npy")
		if !isArray {
			continue
		}
		if len(d.Arrays) >= maxParts {
			d.Omitted++
			continue
		}
		content, err := e.Open()
		if err != nil {
			return nil, fmt.Errorf("not described: %s: %w", e.Name, err)
		}
		a, err := npyHeader(io.LimitReader(content, 2*maxNPYHeader))
		content.Close()
		if err != nil {
			return nil, fmt.Errorf("%w (%s)", err, cut(e.Name, 100))
		}
		a.Name = cut(name, 200)
		d.array(a)
	}
	return d, nil
}

func describeKeras(config, metadata *zip.File) (*Description, error) {
	var model struct {
		Class  string `json:"class_name"`
		Config struct {
			Name   string      `json:"name"`
			Layers []kerasPart `json:"layers"`
		} `json:"config"`
	}
	if err := readJSON(config, &model); err != nil {
		return nil, fmt.Errorf("not described: config.json: %w", err)
	}
	if model.Class == "" {
		return nil, errors.New("not described: an archive of no known kind")
	}
	d := &Description{Format: "Keras model"}
	d.fact("class", model.Class)
	d.fact("name", model.Config.Name)
	if metadata != nil {
		var about map[string]any
		if err := readJSON(metadata, &about); err == nil {
			for _, k := range []string{"keras_version", "date_saved"} {
				s, _ := about[k].(string)
				d.fact(k, s)
			}
		}
	}
	for _, l := range model.Config.Layers {
		name, _ := l.Config["name"].(string)
		d.layer(Layer{Name: cut(name, 200), Type: cut(l.Class, 200), Shape: shapeOf(l), Config: l.summary()})
	}
	return d, nil
}

type kerasPart struct {
	Class  string         `json:"class_name"`
	Config map[string]any `json:"config"`
	Build  map[string]any `json:"build_config"`
}

func shapeOf(l kerasPart) string {
	for _, v := range []any{l.Build["input_shape"], l.Config["batch_shape"], l.Config["batch_input_shape"]} {
		if v != nil {
			text, _ := json.Marshal(v)
			return cut(string(text), 200)
		}
	}
	return ""
}

// summary are the settings of a layer that are plain values.
func (l kerasPart) summary() string {
	var parts []string
	for k, v := range l.Config {
		switch v := v.(type) {
		case string, float64:
			if k != "name" && k != "dtype" {
				parts = append(parts, fmt.Sprintf("%s=%v", k, v))
			}
		case []any:
			if text, err := json.Marshal(v); err == nil && len(text) < 40 && k != "batch_shape" {
				parts = append(parts, k+"="+string(text))
			}
		}
	}
	sort.Strings(parts)
	return cut(strings.Join(parts, " "), 300)
}

func readJSON(e *zip.File, into any) error {
	content, err := e.Open()
	if err != nil {
		return err
	}
	defer content.Close()
	data, err := io.ReadAll(io.LimitReader(content, maxHeader+1))
	if err != nil {
		return err
	}
	if len(data) > maxHeader {
		return fmt.Errorf("more than %d MiB", maxHeader>>20)
	}
	return json.Unmarshal(data, into)
}
