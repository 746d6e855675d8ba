package artifact

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func npy(header string) string {
	var b bytes.Buffer
	b.WriteString(npyMagic + "\x01\x00")
	_ = binary.Write(&b, binary.LittleEndian, uint16(len(header))) // a buffer takes everything
	b.WriteString(header)
	return b.String()
}

func zipOf(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		require.NoError(t, err)
		_, err = w.Write([]byte(parts[i+1]))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return b.String()
}

func safetensors(header string) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header
}

func describe(t *testing.T, name, content string) (*Description, error) {
	t.Helper()
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, name), content)
	r := reader(t, dir)
	f, err := r.Open(t.Context(), named(t, path))
	require.NoError(t, err)
	defer f.Close()
	return r.Describe(f)
}

func TestNumPy(t *testing.T) {
	d, err := describe(t, "x.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2700, 256), }"))
	require.NoError(t, err)
	assert.Equal(t, []Array{{Shape: "(2700, 256)", DType: "<f4"}}, d.Arrays)
	d, err = describe(t, "x.bin", npy("{'descr': [('x', '<f8'), ('y', '<i4')], 'fortran_order': False, 'shape': (5,), }"))
	require.NoError(t, err, "the content says what it is")
	assert.Equal(t, "[('x', '<f8'), ('y', '<i4')]", d.Arrays[0].DType)
	d, err = describe(t, "x.npz", zipOf(t, "a.npy", npy("{'descr': '|b1', 'shape': ()}"), "b.npy", npy("{'shape': (3,), 'descr': '<i8'}")))
	require.NoError(t, err)
	assert.Equal(t, []Array{{"a", "()", "|b1"}, {"b", "(3,)", "<i8"}}, d.Arrays)
}

func TestKeras(t *testing.T) {
	d, err := describe(t, "m.keras", zipOf(t,
		"metadata.json", `{"keras_version": "3.4.1", "date_saved": "2026-01-01"}`,
		"config.json", `{"class_name": "Sequential", "config": {"name": "net", "layers": [
			{"class_name": "InputLayer", "config": {"name": "in", "batch_shape": [null, 16]}},
			{"class_name": "Dense", "config": {"name": "d1", "units": 32, "activation": "relu", "kernel_initializer": {"x": 1}},
			 "build_config": {"input_shape": [null, 16]}}]}}`))
	require.NoError(t, err)
	assert.Equal(t, "Keras model", d.Format)
	assert.Equal(t, []Layer{
		{Name: "in", Type: "InputLayer", Shape: "[null,16]"},
		{Name: "d1", Type: "Dense", Shape: "[null,16]", Config: "activation=relu units=32"},
	}, d.Layers)
	assert.Contains(t, d.Facts, Fact{"keras_version", "3.4.1"})
}

func TestSafetensors(t *testing.T) {
	d, err := describe(t, "m.safetensors", safetensors(`{"__metadata__": {"format": "pt"}, "w2": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
		"w1": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [12, 24]}}`))
	require.NoError(t, err)
	assert.Equal(t, []Array{{"w1", "(2, 3)", "BF16"}, {"w2", "(3,)", "F32"}}, d.Arrays)
	assert.Equal(t, []Fact{{"format", "pt"}}, d.Facts)
}

func message(parts ...any) (out []byte) {
	for i := 0; i < len(parts); i += 2 {
		number := protowire.Number(parts[i].(int))
		switch v := parts[i+1].(type) {
		case int:
			out = protowire.AppendVarint(protowire.AppendTag(out, number, protowire.VarintType), uint64(v))
		case string:
			out = protowire.AppendString(protowire.AppendTag(out, number, protowire.BytesType), v)
		case []byte:
			out = protowire.AppendBytes(protowire.AppendTag(out, number, protowire.BytesType), v)
		}
	}
	return out
}

func TestONNX(t *testing.T) {
	value := func(name string, kind int, dims ...any) []byte {
		var shape []byte
		for _, d := range dims {
			dim := message(2, "batch")
			if n, ok := d.(int); ok {
				dim = message(1, n)
			}
			shape = append(shape, message(1, dim)...)
		}
		return message(1, name, 2, message(1, message(1, kind, 2, shape)))
	}
	packed := protowire.AppendVarint(protowire.AppendVarint(nil, 32), 16)
	graph := message(
		1, message(3, "fc1", 4, "Gemm"), 1, message(4, "Relu"), 2, "net",
		5, message(1, packed, 2, 1, 8, "w", 9, "raw data"), 5, message(1, 7, 2, 7, 8, "b"),
		11, value("x", 1, "batch", 16), 11, value("w", 1, 32, 16), 12, value("y", 1, "batch", 1))
	d, err := describe(t, "m.onnx", string(message(1, 9, 2, "pytorch", 3, "2.5", 7, graph)))
	require.NoError(t, err)
	assert.Equal(t, []Layer{{Name: "fc1", Type: "Gemm"}, {Type: "Relu"}}, d.Layers)
	assert.Equal(t, []Array{{"w", "(32, 16)", "float32"}, {"b", "(7,)", "int64"}}, d.Arrays)
	assert.Equal(t, []Fact{
		{"ir_version", "9"}, {"producer", "pytorch"}, {"producer_version", "2.5"}, {"graph", "net"},
		{"input x", "float32 (batch, 16)"}, {"output y", "float32 (batch, 1)"},
	}, d.Facts)
}

func TestMLmodel(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "MLmodel"))
	require.NoError(t, err)
	read := func(content string) (*Description, []string, error) {
		dir := t.TempDir()
		r := reader(t, dir)
		f, err := r.Open(t.Context(), named(t, write(t, filepath.Join(dir, "MLmodel"), content)))
		require.NoError(t, err)
		defer f.Close()
		return MLmodel(f)
	}
	d, data, err := read(string(text))
	require.NoError(t, err)
	assert.Empty(t, data)
	assert.Equal(t, []Array{{"input", "(-1, 3)", "float64"}, {"output", "(-1,)", "int64"}}, d.Arrays)
	assert.Contains(t, d.Facts, Fact{"flavor sklearn", "pickled_model=model.skops serialization_format=skops sklearn_version=1.9.1"})
	d, data, err = read("flavors:\n  onnx: {data: model.onnx, onnx_version: 1.2}\nsignature: {inputs: '[{\"name\": \"a\", \"type\": \"double\"}]'}")
	require.NoError(t, err)
	assert.Equal(t, []string{"model.onnx"}, data)
	assert.Equal(t, []Array{{Name: "input a", DType: "double"}}, d.Arrays)
	for _, bad := range []string{"", "{", "a: &a [*a]", "flavors: 3", "just: yaml"} {
		_, _, err := read(bad)
		assert.ErrorContains(t, err, "not described", bad)
	}
}

func TestWhatIsNotDescribed(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"m.pkl":         {"\x80\x04\x95", "to read a pickle is to run what is in it"},
		"m.unknown":     {"\x80\x04\x95", "to read a pickle"},
		"m.joblib":      {"x", "to read a pickle"},
		"m.pt":          {zipOf(t, "archive/data.pkl", "x"), "to read a pickle"},
		"m.h5":          {"\x89HDF\r\n\x1a\n", "HDF5 is not read"},
		"a.zip":         {zipOf(t, "x.txt", "x"), "an archive of no known kind"},
		"b.zip":         {zipOf(t, "config.json", "{}"), "an archive of no known kind"},
		"c.zip":         {"PK\x03\x04nonsense", "the archive is damaged"},
		"k.keras":       {zipOf(t, "config.json", "{"), "config.json"},
		"x.npy":         {npyMagic + "\x01\x00\xff\xff{", "the header is cut"},
		"y.npy":         {npyMagic + "\x02\x00\xff\xff\xff\xff", "a header of 4294967295 bytes"},
		"z.npy":         {npy("{}"), "without shape or type"},
		"z.npz":         {zipOf(t, "a.npy", "not numpy"), "no NumPy array (a.npy)"},
		"s.safetensors": {"\xff\xff\xff\xff\xff\xff\xff\xff{}", "a header of 18446744073709551615 bytes in a file of 10"},
		"t.safetensors": {safetensors("{"), "the header"},
		"u.safetensors": {"abc", "the header is cut"},
		"m.onnx":        {"\xff\xff\xff", "the file is damaged"},
		"n.onnx":        {"", "the file is damaged"},
		"empty":         {"", "says nothing that is read here"},
		"notes.txt":     {"words", "says nothing that is read here"},
	} {
		_, err := describe(t, name, c.content)
		if assert.Error(t, err, name) {
			assert.Contains(t, err.Error(), c.want, name)
		}
	}
}

func TestDescriptionsAreBounded(t *testing.T) {
	var parts []string
	for i := range 3 * maxParts {
		parts = append(parts, fmt.Sprintf(`"w%d": {"dtype": "F32", "shape": [1]}`, i))
	}
	d, err := describe(t, "m.safetensors", safetensors("{"+strings.Join(parts, ",")+"}"))
	require.NoError(t, err)
	assert.Len(t, d.Arrays, maxParts)
	assert.Equal(t, 2*maxParts, d.Omitted)
	d, err = describe(t, "long.safetensors", safetensors(`{"`+strings.Repeat("n", 1<<20)+`": {"dtype": "F32", "shape": [1]}}`))
	require.NoError(t, err)
	assert.Less(t, len(d.Arrays[0].Name), 300)
}

func TestNoContentStopsTheReader(t *testing.T) {
	dir := t.TempDir()
	magics := []string{npyMagic, "PK\x03\x04", "\x80\x04", "", safetensors(`{"a":`), string(message(7, message(1, "x"))), zipOf(t, "a.npy", npy("{'descr'"))}
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom([]string{"a.npy", "a.npz", "a.onnx", "a.safetensors", "a.keras"}).Draw(rt, "name")
		content := rapid.SampledFrom(magics).Draw(rt, "magic") + string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(rt, "rest"))
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			rt.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			rt.Fatal(err)
		}
		defer file.Close()
		f := &File{File: file, Path: path, Size: int64(len(content))}
		r := &Reader{descriptions: maxDescriptions}
		if d, err := r.Describe(f); err == nil && d.Format == "" {
			rt.Fatal("described as nothing")
		}
		_, _ = pictureOf([]byte(content)) // it ends, whatever the answer
	})
}
