package artifact

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-mida/otelcol-mida/internal/entity"
)

// named is a file as lineage names it, now.
func named(t *testing.T, path string) Named {
	t.Helper()
	info, err := entity.NewResolver().Resolve(path, "")
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	e, ok := entity.Canonical("", path, &info, entity.Where{Host: host, Site: "some.site"})
	require.True(t, ok)
	return Named{Entity: e.ID, Label: path}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func reader(t *testing.T, allow ...string) *Reader {
	t.Helper()
	var places []Place
	for _, a := range allow {
		p, err := ParsePlace(a)
		require.NoError(t, err)
		places = append(places, p)
	}
	r := NewReader(places)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// why opens what must not be opened, and returns the reason.
func why(t *testing.T, r *Reader, n Named) string {
	t.Helper()
	f, err := r.Open(t.Context(), n)
	if !assert.Error(t, err) {
		f.Close()
		return ""
	}
	return err.Error()
}

func TestOnlyAllowedFilesAreOpened(t *testing.T) {
	dir := t.TempDir()
	inside, outside := write(t, filepath.Join(dir, "in", "a", "x.txt"), "12345"), write(t, filepath.Join(dir, "out", "y.txt"), "secret")
	r := reader(t, filepath.Join(dir, "in"))
	f, err := r.Open(t.Context(), named(t, inside))
	require.NoError(t, err)
	assert.Equal(t, int64(5), f.Size)
	sum, err := r.Digest(t.Context(), f)
	require.NoError(t, err)
	assert.Equal(t, "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5", sum)
	f.Close()

	assert.Contains(t, why(t, r, named(t, outside)), "does not allow its directory")
	assert.Contains(t, why(t, r, named(t, filepath.Join(dir, "in", "gone.txt"))), "not there any more")
	assert.Contains(t, why(t, r, named(t, filepath.Join(dir, "in", "a"))), "no regular file")
	assert.Contains(t, why(t, r, Named{Entity: "uri:s3://bucket/x.png"}), "no file of this machine")
	assert.Contains(t, why(t, r, Named{Entity: "file:elsewhere:" + inside, Label: inside}), "it lies on elsewhere")
	assert.Contains(t, why(t, r, Named{Entity: "file:nonsense"}), "has no path")
	assert.Equal(t, ErrNothingAllowed.Error(), why(t, reader(t), named(t, inside)))
	assert.Contains(t, why(t, reader(t, filepath.Join(dir, "nowhere")), named(t, inside)), "read_files: lstat")

	never := NewReader([]Place{{Dir: dir}}, filepath.Join(dir, "in"))
	defer never.Close()
	assert.Contains(t, why(t, never, named(t, inside)), "never shown")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Open(ended, named(t, inside))
	require.ErrorIs(t, err, context.Canceled)
}

func TestARelativeLabelIsFoundInItsDirectory(t *testing.T) {
	dir := t.TempDir()
	n := named(t, write(t, filepath.Join(dir, "with space %41.txt"), "x"))
	n.Label, n.Cwd = "with space %41.txt", dir
	f, err := reader(t, dir).Open(t.Context(), n)
	require.NoError(t, err)
	f.Close()
}

func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	plot, notes := write(t, filepath.Join(dir, "r", "deep", "p.png"), "x"), write(t, filepath.Join(dir, "r", "notes.txt"), "x")
	r := reader(t, filepath.Join(dir, "r", "*.png"))
	f, err := r.Open(t.Context(), named(t, plot))
	require.NoError(t, err)
	f.Close()
	assert.Contains(t, why(t, r, named(t, notes)), "does not allow")
}

func TestSymbolicLinksLeadNowhere(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "secret.txt"), "secret")
	allowed := filepath.Join(dir, "allowed")
	inner := write(t, filepath.Join(allowed, "real.txt"), "fine")
	r := reader(t, allowed)

	// Named while it was a link: lineage knows where it led.
	link := filepath.Join(allowed, "link.txt")
	require.NoError(t, os.Symlink(secret, link))
	assert.Contains(t, why(t, r, named(t, link)), "does not allow its directory")

	// Named while it was a file, and a link by now.
	plain := write(t, filepath.Join(allowed, "plain.txt"), "x")
	n := named(t, plain)
	require.NoError(t, os.Remove(plain))
	require.NoError(t, os.Symlink(secret, plain))
	assert.Contains(t, why(t, r, n), "leads elsewhere by now")

	// A directory that became a link to one outside.
	n = named(t, write(t, filepath.Join(allowed, "sub", "a.txt"), "x"))
	require.NoError(t, os.Rename(filepath.Join(allowed, "sub"), filepath.Join(dir, "sub")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "sub"), filepath.Join(allowed, "sub")))
	assert.Contains(t, why(t, r, n), "leads elsewhere by now")

	// One that stays inside is a file like any other.
	within := filepath.Join(allowed, "within.txt")
	require.NoError(t, os.Symlink(inner, within))
	f, err := r.Open(t.Context(), named(t, within))
	require.NoError(t, err)
	f.Close()
}

func TestAReportOpensSoManyFiles(t *testing.T) {
	dir := t.TempDir()
	n := named(t, write(t, filepath.Join(dir, "x"), "x"))
	r := reader(t, dir)
	r.files = 1
	f, err := r.Open(t.Context(), n)
	require.NoError(t, err)
	defer f.Close()
	assert.Contains(t, why(t, r, n), "one report opens")
	r.digests = 0
	_, err = r.Digest(t.Context(), f)
	require.ErrorContains(t, err, "no digest: one report reads")
	f.Size = maxDigest + 1
	_, err = r.Digest(t.Context(), f)
	require.ErrorContains(t, err, "no digest: it has more than 64 MiB")
}

func TestParsePlace(t *testing.T) {
	for entry, want := range map[string]Place{
		".":                {Dir: "."},
		"/data/plots":      {Dir: "/data/plots"},
		"results/*.png":    {Dir: "results/", Pattern: "*.png"},
		"*.png":            {Dir: ".", Pattern: "*.png"},
		"/a/b*/c/[xy].npz": {Dir: "/a/", Pattern: "b*/c/[xy].npz"},
	} {
		got, err := ParsePlace(entry)
		require.NoError(t, err)
		assert.Equal(t, want, got, entry)
	}
	for _, entry := range []string{"", "  ", "a/[b"} {
		_, err := ParsePlace(entry)
		assert.Error(t, err, entry)
	}
}
