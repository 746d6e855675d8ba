package artifact

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func pngOf(t *testing.T, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, image.NewGray(image.Rect(0, 0, width, height))))
	return b.Bytes()
}

// claiming is a PNG that says to be larger than it is.
func claiming(t *testing.T, width, height uint32) []byte {
	t.Helper()
	data := pngOf(t, 1, 1)
	binary.BigEndian.PutUint32(data[16:], width)
	binary.BigEndian.PutUint32(data[20:], height)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

func TestPictures(t *testing.T) {
	gray := image.NewPaletted(image.Rect(0, 0, 4, 3), nil)
	var asJPEG, asGIF bytes.Buffer
	require.NoError(t, jpeg.Encode(&asJPEG, image.NewGray(gray.Rect), nil))
	require.NoError(t, gif.Encode(&asGIF, image.NewGray(gray.Rect), nil))
	for name, c := range map[string]struct {
		data []byte
		kind string
	}{
		"png": {pngOf(t, 4, 3), "image/png"}, "jpeg": {asJPEG.Bytes(), "image/jpeg"}, "gif": {asGIF.Bytes(), "image/gif"},
	} {
		p, err := pictureOf(c.data)
		require.NoError(t, err, name)
		assert.Equal(t, c.kind, p.MediaType)
		assert.Equal(t, []int{4, 3}, []int{p.Width, p.Height}, name)
	}
	p, err := pictureOf([]byte(`<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg xmlns="http://www.w3.org/2000/svg">` +
		`<defs><path id="m"/></defs><use href="#m"/></svg>`))
	require.NoError(t, err)
	assert.Equal(t, "image/svg+xml", p.MediaType)
}

func TestWhatIsNotDisplayed(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"a text":              {"just words", "no image"},
		"nothing":             {"", "no image"},
		"a page":              {"<html><script>alert(1)</script></html>", "no image"},
		"a PDF":               {"%PDF-1.7\n", "a PDF needs a program"},
		"an archive":          {"PK\x03\x04 and more", "its content is application/zip"},
		"half a PNG":          {string(pngOf(t, 100, 100)[:60]), "it is damaged"},
		"a bomb":              {string(claiming(t, 60000, 60000)), "60000 × 60000 pixels are more"},
		"a bomb that wraps":   {string(claiming(t, 1<<31-1, 1<<31-1)), "not displayed: png"},
		"SVG with script":     {`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`, "a script element"},
		"SVG with SCRIPT":     {`<svg><g><SCRIPT>alert(1)</SCRIPT></g></svg>`, "a script element"},
		"SVG with an event":   {`<svg onload="alert(1)"></svg>`, "an onload attribute"},
		"SVG with HTML":       {`<svg><foreignObject><p>x</p></foreignObject></svg>`, "a foreignobject element"},
		"SVG from elsewhere":  {`<svg><image href="https://example.org/x.png"/></svg>`, "leads elsewhere"},
		"SVG with javascript": {`<svg xmlns:x="http://www.w3.org/1999/xlink"><a x:href=" javascript:alert(1)"/></svg>`, "leads elsewhere"},
		"half an SVG":         {`<svg><g>`, "damaged"},
		"SVG with an entity":  {`<!DOCTYPE svg [<!ENTITY e "x">]><svg><g>&e;</g></svg>`, "damaged"},
	} {
		_, err := pictureOf([]byte(c.data))
		if assert.Error(t, err, name) {
			assert.Contains(t, err.Error(), c.want, name)
		}
	}
}

func TestPicturesAreBounded(t *testing.T) {
	dir := t.TempDir()
	path := write(t, filepath.Join(dir, "x.png"), string(pngOf(t, 2, 2)))
	r := reader(t, dir)
	f, err := r.Open(t.Context(), named(t, path))
	require.NoError(t, err)
	defer f.Close()
	_, err = r.Picture(f)
	require.NoError(t, err)
	r.pictures = 3
	_, err = r.Picture(f)
	require.ErrorContains(t, err, "one report displays")
	f.Size = maxPicture + 1
	_, err = r.Picture(f)
	require.ErrorContains(t, err, "4.0 MiB, and 4 are displayed")
}
