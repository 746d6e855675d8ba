package artifact

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // what browsers display
	_ "image/jpeg" //
	_ "image/png"  //
	"io"
	"net/http"
	"strings"
)

// Picture is an image that a browser displays. Width and Height are 0 where they are not known.
type Picture struct {
	MediaType     string
	Width, Height int
	Data          []byte
}

// Picture reads an image. What it is, its content says, not its name.
func (r *Reader) Picture(f *File) (*Picture, error) {
	if f.Size > maxPicture {
		return nil, fmt.Errorf("not displayed: it has %.1f MiB, and %d are displayed", float64(f.Size)/(1<<20), maxPicture>>20)
	}
	if r.pictures < f.Size {
		return nil, fmt.Errorf("not displayed: one report displays %d MiB of images", maxPictures>>20)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxPicture))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	p, err := pictureOf(data)
	if err == nil {
		r.pictures -= int64(len(data))
	}
	return p, err
}

func pictureOf(data []byte) (*Picture, error) {
	kind := http.DetectContentType(data)
	switch kind {
	case "image/png", "image/jpeg", "image/gif":
		config, _, err := image.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("not displayed: %w", err)
		}
		if config.Width <= 0 || config.Height <= 0 || config.Width > maxPixels/config.Height {
			return nil, fmt.Errorf("not displayed: %d × %d pixels are more than a page takes", config.Width, config.Height)
		}
		if _, _, err = image.Decode(bytes.NewReader(data)); err != nil {
			return nil, fmt.Errorf("not displayed: it is damaged: %w", err)
		}
		return &Picture{MediaType: kind, Width: config.Width, Height: config.Height, Data: data}, nil
	case "image/webp":
		return &Picture{MediaType: kind, Data: data}, nil
	case "application/pdf":
		return nil, errors.New("not displayed: a PDF needs a program of its own")
	}
	if strings.HasPrefix(kind, "text/") {
		if err := plainSVG(data); err != nil {
			return nil, err
		}
		return &Picture{MediaType: "image/svg+xml", Data: data}, nil
	}
	return nil, fmt.Errorf("not displayed: its content is %s", kind)
}

// plainSVG lets drawings through that are nothing but that: no script, no foreign content, nothing from elsewhere.
func plainSVG(data []byte) error {
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("only UTF-8 is read") }
	first := true
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if first {
				return errors.New("not displayed: its content is no image")
			}
			return nil
		}
		if err != nil {
			if first {
				return errors.New("not displayed: its content is no image")
			}
			return fmt.Errorf("not displayed: the drawing is damaged: %w", err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		name := strings.ToLower(element.Name.Local)
		if first && name != "svg" {
			return errors.New("not displayed: its content is no image")
		}
		first = false
		if name == "script" || name == "foreignobject" || name == "iframe" || name == "handler" {
			return fmt.Errorf("not displayed: the drawing holds a %s element", name)
		}
		for _, a := range element.Attr {
			key, value := strings.ToLower(a.Name.Local), strings.TrimSpace(a.Value)
			if strings.HasPrefix(key, "on") {
				return fmt.Errorf("not displayed: the drawing has an %s attribute", key)
			}
			if key == "href" && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/png") {
				return errors.New("not displayed: the drawing leads elsewhere")
			}
		}
	}
}
