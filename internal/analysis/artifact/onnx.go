package artifact

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// describeONNX reads a model's graph from its protobuf: the fields of onnx.proto that tell the architecture. Weights are
// passed over.
func describeONNX(f *File) (*Description, error) {
	if f.Size > maxWholeFile {
		return nil, fmt.Errorf("not described: it has more than %d MiB", maxWholeFile>>20)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	d := &Description{Format: "ONNX model"}
	graphs := 0
	err = fields(data, func(number protowire.Number, value []byte, n uint64) error {
		switch number {
		case 1:
			d.fact("ir_version", fmt.Sprint(n))
		case 2:
			d.fact("producer", string(value))
		case 3:
			d.fact("producer_version", string(value))
		case 7:
			graphs++
			return d.onnxGraph(value)
		}
		return nil
	})
	if err == nil && graphs == 0 {
		err = errProtobuf
	}
	return d, err
}

func (d *Description) onnxGraph(data []byte) error {
	weights := map[string]bool{}
	var inputs, outputs []Array
	err := fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case 1:
			return d.onnxNode(value)
		case 2:
			d.fact("graph", string(value))
		case 5:
			a, err := onnxTensor(value)
			weights[a.Name] = true
			d.array(a)
			return err
		case 11:
			a, err := onnxValue(value)
			inputs = append(inputs, a)
			return err
		case 12:
			a, err := onnxValue(value)
			outputs = append(outputs, a)
			return err
		}
		return nil
	})
	for _, a := range inputs {
		if !weights[a.Name] { // older files list weights among the inputs
			d.fact("input "+a.Name, a.DType+" "+a.Shape)
		}
	}
	for _, a := range outputs {
		d.fact("output "+a.Name, a.DType+" "+a.Shape)
	}
	return err
}

func (d *Description) onnxNode(data []byte) error {
	var l Layer
	err := fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case 3:
			l.Name = cut(string(value), 200)
		case 4:
			l.Type = cut(string(value), 100)
		}
		return nil
	})
	d.layer(l)
	return err
}

// onnxTensor reads a TensorProto without its data.
func onnxTensor(data []byte) (Array, error) {
	var a Array
	var dims []int64
	err := fields(data, func(number protowire.Number, value []byte, n uint64) error {
		switch number {
		case 1:
			if value == nil {
				dims = append(dims, int64(n))
			}
			for len(value) > 0 { // packed
				v, size := protowire.ConsumeVarint(value)
				if size < 0 {
					return errProtobuf
				}
				dims, value = append(dims, int64(v)), value[size:]
			}
		case 2:
			a.DType = onnxType(n)
		case 8:
			a.Name = cut(string(value), 200)
		}
		return nil
	})
	a.Shape = tuple(dims)
	return a, err
}

// onnxValue reads a ValueInfoProto: its name, and type and shape of its tensor.
func onnxValue(data []byte) (Array, error) {
	a := Array{DType: "?"}
	var dims []string
	err := fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		switch number {
		case 1:
			a.Name = cut(string(value), 200)
		case 2: // TypeProto
			return within(value, 1, func(tensor []byte) error {
				return fields(tensor, func(number protowire.Number, value []byte, n uint64) error {
					switch number {
					case 1:
						a.DType = onnxType(n)
					case 2: // TensorShapeProto
						return within(value, 1, func(dim []byte) error {
							text := "?"
							err := fields(dim, func(number protowire.Number, value []byte, n uint64) error {
								switch number {
								case 1:
									text = fmt.Sprint(int64(n))
								case 2:
									text = cut(string(value), 50)
								}
								return nil
							})
							dims = append(dims, text)
							return err
						})
					}
					return nil
				})
			})
		}
		return nil
	})
	a.Shape = cut("("+strings.Join(dims, ", ")+")", 200)
	return a, err
}

// fields visits the fields of a message: value is nil for a number.
func fields(data []byte, visit func(number protowire.Number, value []byte, n uint64) error) error {
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return errProtobuf
		}
		data = data[size:]
		var err error
		switch kind {
		case protowire.VarintType:
			n, size := protowire.ConsumeVarint(data)
			if size < 0 {
				return errProtobuf
			}
			data = data[size:]
			err = visit(number, nil, n)
		case protowire.BytesType:
			value, size := protowire.ConsumeBytes(data)
			if size < 0 {
				return errProtobuf
			}
			data = data[size:]
			err = visit(number, value, 0)
		default:
			size := protowire.ConsumeFieldValue(number, kind, data)
			if size < 0 {
				return errProtobuf
			}
			data = data[size:]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within visits each message in one field of a message.
func within(data []byte, field protowire.Number, visit func([]byte) error) error {
	return fields(data, func(number protowire.Number, value []byte, _ uint64) error {
		if number == field && value != nil {
			return visit(value)
		}
		return nil
	})
}

func onnxType(n uint64) string {
	names := []string{
		"undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
		"uint32", "uint64", "complex64", "complex128", "bfloat16",
	}
	if n < uint64(len(names)) {
		return names[n]
	}
	return fmt.Sprintf("type %d", n)
}
