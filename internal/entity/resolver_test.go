package entity

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// resolveEnv makes the test binary resolve that path and print the info: the
// same code inside another mount namespace.
const resolveEnv = "ENTITY_TEST_RESOLVE"

func TestMain(m *testing.M) {
	path := os.Getenv(resolveEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	info, err := NewResolver().Resolve(path, "/")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(info); err != nil {
		os.Exit(1)
	}
}

// tree is a real directory with a file and symlinks to it.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := realPath(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "data", "raw"), 0o700))
	must(os.WriteFile(filepath.Join(dir, "data", "raw", "x.npz"), []byte("12345"), 0o600))
	must(os.Symlink("data/raw", filepath.Join(dir, "link")))
	must(os.Symlink(filepath.Join(dir, "data", "raw", "new.npz"), filepath.Join(dir, "latest.npz")))
	must(os.Symlink("loop", filepath.Join(dir, "loop")))
	return dir
}

func identify(t *testing.T, info PathInfo) string {
	t.Helper()
	e, ok := Canonical("", "", &info, Where{Site: "s", Host: "h"})
	if !ok {
		t.Fatalf("no entity for %+v", info)
	}
	return e.ID
}

func TestResolve(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symlinks need a privilege on Windows")
	}
	dir := tree(t)
	t.Setenv("HOME", dir)
	r := NewResolver()
	for _, c := range []struct{ path, cwd, want string }{
		{dir + "/data/raw/x.npz", "", "/data/raw/x.npz"},
		{"data/raw/x.npz", dir, "/data/raw/x.npz"},
		{"./x.npz", dir + "/data/raw", "/data/raw/x.npz"},
		{"x.npz", dir + "/link", "/data/raw/x.npz"},
		{"../raw//x.npz", dir + "/link", "/data/raw/x.npz"}, // ".." of where the link leads
		{"link/../raw/x.npz", dir, "/data/raw/x.npz"},
		{"link/none/y.npz", dir, "/data/raw/none/y.npz"},
		{"latest.npz", dir, "/data/raw/new.npz"}, // a link to what is not there yet
		{"none/../link/x.npz", dir, "/data/raw/x.npz"},
		{"~/link/x.npz", "", "/data/raw/x.npz"},
		{"loop", dir, "/loop"},
	} {
		info, err := r.Resolve(c.path, c.cwd)
		if err != nil {
			t.Errorf("%s in %s: %v", c.path, c.cwd, err)
			continue
		}
		if info.Real != dir+c.want {
			t.Errorf("%s in %s is %s, want %s", c.path, c.cwd, info.Real, dir+c.want)
		}
		_, missing := os.Stat(info.Real)
		if there := missing == nil; there != (info.ModTime != 0) || there && info.Size != 5 || !there && info.Size != -1 {
			t.Errorf("%s: mtime %d, size %d", c.path, info.ModTime, info.Size)
		}
	}
	if info, err := r.Resolve(".", dir); err != nil || info.Size != -1 || time.Since(time.Unix(0, info.ModTime)) > time.Hour {
		t.Errorf("directory: %+v, %v", info, err)
	}
	for _, bad := range [][2]string{{"", dir}, {"a\x00b", dir}, {"x", ""}, {"x", "rel"}, {`C:\data\x.npz`, dir}} {
		if _, err := r.Resolve(bad[0], bad[1]); !errors.Is(err, ErrNotAPath) {
			t.Errorf("%q in %q: %v", bad[0], bad[1], err)
		}
	}
}

func TestPathInfoNames(t *testing.T) {
	b, err := json.Marshal(PathInfo{Real: "/a", FS: "nfs:s", Rel: "/e/a", ModTime: 5, Size: -1})
	if want := `{"real":"/a","fs":"nfs:s","rel":"/e/a","mtime":5,"size":-1}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
}

func BenchmarkResolve(b *testing.B) {
	r := NewResolver()
	dir, err := os.Getwd()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Resolve("testdata/paths.txt", dir); err != nil {
			b.Fatal(err)
		}
	}
}
