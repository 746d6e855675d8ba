package entity

import (
	"math"
	"os"
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var here = Where{Site: "my.site", Host: "Node-3", Cwd: "/work/ada"}

// TestCanonical reads testdata/canonical.txt: field, value, and the ID or
// "nothing".
func TestCanonical(t *testing.T) {
	text, err := os.ReadFile("testdata/canonical.txt")
	if err != nil {
		t.Fatal(err)
	}
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		col := strings.Split(line, "\t")
		if len(col) != 3 {
			t.Fatalf("line %d is not field, value, ID: %q", n+1, line)
		}
		e, ok := Canonical(strings.TrimPrefix(col[0], "-"), col[1], nil, here)
		got := e.ID
		if !ok {
			got = "nothing"
		}
		if got != col[2] {
			t.Errorf("line %d: %q gives %q, want %q", n+1, col[1], got, col[2])
		}
		if !ok && e != (Entity{}) {
			t.Errorf("line %d: nothing comes with %+v", n+1, e)
		}
		if again, _ := Canonical("", e.ID, nil, Where{}); ok && again.ID != e.ID {
			t.Errorf("line %d: the ID %q as a value gives %q", n+1, e.ID, again.ID)
		}
	}
}

func TestCanonicalOfInfo(t *testing.T) {
	id64 := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		fs, rel, id string
		mtime       int64
		conf        float64
	}{
		{"", "/data/x", "file:my.site/node-3:/data/x", 1, confResolved},
		{"", "/data/x", "file:my.site/node-3:/data/x", 0, confAbsent},
		{"nfs:nas.example.org", "/export/x", "file:nfs:nas.example.org:/export/x", 1, confResolved},
		{"nfs:nas", "/export/x", "file:my.site/nfs:nas:/export/x", 1, confResolved},
		{"nfs:10.0.0.5", "/export/x", "file:my.site/nfs:10.0.0.5:/export/x", 1, confResolved},
		{"nfs:nas.local", "/export/x", "file:my.site/nfs:nas.local:/export/x", 1, confResolved},
		{"nfs:localhost", "/export/x", "file:my.site/node-3/nfs:localhost:/export/x", 1, confResolved},
		{"lustre:scratch", "/x", "file:my.site/lustre:scratch:/x", 1, confResolved},
		{"beegfs", "/beegfs/x", "file:my.site/beegfs:/beegfs/x", 1, confResolved},
		{"afs", "/afs/cern.ch/x", "file:afs:/afs/cern.ch/x", 1, confResolved},
		{"dev:8:1", "/x", "file:my.site/node-3/dev:8:1:/x", 1, confResolved},
		{"container:" + id64, "/x", "file:container:" + id64 + ":/x", 1, confResolved},
		{"container:" + id64 + ".mnt-5", "/x", "file:my.site/node-3/container:" + id64 + ".mnt-5:/x", 1, confNamespace},
		{"container:mnt-5", "/x", "file:my.site/node-3/container:mnt-5:/x", 1, confNamespace},
	} {
		e, ok := Canonical("anything", "no path at all", &PathInfo{Real: "/seen", FS: c.fs, Rel: c.rel, ModTime: c.mtime, Size: 3}, here)
		if !ok || e.ID != c.id || e.Confidence != c.conf || e.Evidence != EvidencePath || e.Form != c.rel {
			t.Errorf("%s %s gives %+v, want %s at %g", c.fs, c.rel, e, c.id, c.conf)
		}
		if again, _ := Canonical("", e.ID, nil, Where{}); again.ID != e.ID {
			t.Errorf("the ID %q as a value gives %q", e.ID, again.ID)
		}
	}
	if _, ok := Canonical("", "", &PathInfo{Real: "/data/x", Rel: "/data/x"}, Where{Site: "s"}); ok {
		t.Error("a local file of an unknown host has an identity")
	}
	if e, ok := Canonical("", "", &PathInfo{Real: "/data/x", FS: "nfs:a.example.org", Rel: "/data/x"}, Where{}); !ok || e.ID != "file:nfs:a.example.org:/data/x" {
		t.Errorf("a network file needs no host: %+v", e)
	}
}

func TestWhereMatters(t *testing.T) {
	of := func(v string, w Where) string {
		e, _ := Canonical("", v, nil, w)
		return e.ID
	}
	a, b := Where{Host: "a"}, Where{Host: "b"}
	for _, v := range []string{"/tmp/run/x.npz", "http://localhost:8080/x", "file:///tmp/x.npz", "sqlite:////tmp/x.db"} {
		if x, y := of(v, a), of(v, b); x == "" || x == y {
			t.Errorf("%s on two hosts is %q and %q", v, x, y)
		}
		if x := of(v, Where{}); x != "" {
			t.Errorf("%s on no host is %q", v, x)
		}
	}
	if x := of("/tmp/run/x.npz", Where{Host: "a", Container: "c1"}); x != "file:a/container:c1:/tmp/run/x.npz" {
		t.Errorf("in a container: %s", x)
	}
	if x, y := of("./x.npz", Where{Host: "a", Cwd: "/p"}), of("/p/x.npz", a); x != y {
		t.Errorf("relative %q, absolute %q", x, y)
	}
	if x := of("./x.npz", a); x != "" {
		t.Errorf("relative to nowhere is %q", x)
	}
	if x, y := of("hdfs:///d/x", Where{Site: "s"}), of("hdfs:///d/x", Where{Site: "t"}); x == y {
		t.Errorf("the default cluster of two sites is %q", x)
	}
	// A host's name with separators cannot imitate another place.
	if x, y := of("/q/x.npz", Where{Host: "s/h"}), of("/q/x.npz", Where{Site: "s", Host: "h"}); x == y {
		t.Errorf("both are %q", x)
	}
}

func TestByValue(t *testing.T) {
	id := func(v any) string {
		e, ok := ByValue("sample", v)
		if ok && (e.Evidence != EvidenceValue || e.Confidence != confValue) {
			t.Errorf("%v: %+v", v, e)
		}
		return e.ID
	}
	if id(int64(1)) != id(1.0) || id(int64(1)) == id(true) || id(int64(1)) == id("1") || id("a") != "value:sample:a" || id(0.5) != "value:sample:0.5" {
		t.Errorf("1 %q, 1.0 %q, true %q, \"1\" %q, a %q, 0.5 %q", id(int64(1)), id(1.0), id(true), id("1"), id("a"), id(0.5))
	}
	for _, v := range []any{nil, "", " ", math.NaN(), math.Inf(1), []any{}, map[string]any{}} {
		if id(v) != "" {
			t.Errorf("%v is %q", v, id(v))
		}
	}
	if _, ok := Canonical("", "value:sample:a", nil, here); ok {
		t.Error("a string made itself a value entity")
	}
	if _, ok := Canonical("", "task:62648372a124dee7f61020dbff957a54", nil, here); ok {
		t.Error("a string declared an edge")
	}
	if Task("7").ID != "task:7" {
		t.Error(Task("7").ID)
	}
}

func TestWalk(t *testing.T) {
	got := map[string]int{}
	Walk(map[string]any{
		"a": map[string]any{"b": "x", "c": []any{"y", []any{"z"}, map[string]any{"d": "w"}}},
		"n": nil, "cut": map[string]any{"$cut": map[string]any{"head": "/data/x.npz"}},
		"two": map[string]any{"$a": "p", "b": "q"},
	}, func(path []string, v any) {
		s, _ := v.(string)
		got[strings.Join(path, ".")+"="+s]++
	})
	want := []string{"a.b=x", "a.c=y", "a.c=z", "a.c.d=w", "n=", "two.$a=p", "two.b=q"}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for _, w := range want {
		if got[w] != 1 {
			t.Errorf("%s visited %d times", w, got[w])
		}
	}
	loop := map[string]any{}
	loop["x"] = loop
	list := []any{nil}
	list[0] = list
	Walk(loop, func([]string, any) {})
	Walk(map[string]any{"l": list}, func([]string, any) {})
}

// values draws strings that resemble what tasks hold.
func values() *rapid.Generator[string] {
	pieces := rapid.SampledFrom([]string{"/", "//", ":", "://", "..", ".", "%", "%2F", "%2e", "?", "#", "@", "&", "=", "\\", "~", "-", " ",
		"file:", "file://", "http://", "HTTPS://", "s3://", "abfs://", "hdfs://", "dbfs:/", "doi:10.1/", "uri:", "mlflow:", "models:/", "runs:/", "model:", "run:",
		"mlflow-artifacts:/", "sqlite:///", "sha256:", "digest:", "digest:mlflow:", "localhost", "host", "node/dev:8:1", ":80", ":443", "a", "b.csv", "X-Amz-Signature=1",
		"C:\\", "0123456789abcdef0123456789abcdef", "m-0123456789abcdef0123456789abcdef", "artifacts", "1", "é", "\x00", "\n", "\xff", "%ff"})
	return rapid.OneOf(
		rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(pieces, 1, 12).Draw(t, "pieces"), "") }),
		rapid.String(),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) }),
	)
}

func TestCanonicalProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom([]string{"", "path", "model", "run_id", "sha256", "a.b_dir", "x"}).Draw(t, "field")
		v := values().Draw(t, "value")
		w := Where{Site: values().Draw(t, "site"), Host: values().Draw(t, "host"), Cwd: rapid.SampledFrom([]string{"", "/w", "C:\\w"}).Draw(t, "cwd")}
		LocalPath(field, v)
		e, ok := Canonical(field, v, nil, w)
		if !ok {
			return
		}
		if e.ID == "" || e.Form == "" || e.Evidence == "" || e.Confidence <= 0 || e.Confidence > 1 || !utf8.ValidString(e.ID) {
			t.Fatalf("%q gives %+v", v, e)
		}
		if again, ok := Canonical(field, e.ID, nil, w); !ok || again.ID != e.ID {
			t.Fatalf("%q gives %q, and that gives %q", v, e.ID, again.ID)
		}
	})
}

// Files that differ in path, host, site or file system differ in ID.
func TestDifferentFilesDiffer(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "a/b", "a:b", "a%2Fb", "%", "%25", "a\xff", "a%FF", "a\n", "nfs:a", "dev:8:1", "é", " "})
	type file struct{ site, host, fs, rel string }
	draw := rapid.Custom(func(t *rapid.T) file {
		return file{
			site: rapid.OneOf(rapid.Just(""), name).Draw(t, "site"), host: name.Draw(t, "host"),
			fs:  rapid.SampledFrom([]string{"", "nfs:a", "nfs:localhost", "dev:8:1", "container:a", "lustre:a", "beegfs"}).Draw(t, "fs"),
			rel: "/" + strings.Join(rapid.SliceOfN(name, 1, 3).Draw(t, "rel"), "/"),
		}
	})
	id := func(f file) string {
		e, _ := Canonical("", "", &PathInfo{Real: "/r", FS: f.fs, Rel: f.rel}, Where{Site: f.site, Host: f.host})
		return e.ID
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		for _, f := range []*file{&a, &b} {
			f.rel = path.Clean(f.rel)
			if scopeOf(f.fs) != scopeHost {
				f.host = "" // not part of the identity
			}
		}
		if (a == b) != (id(a) == id(b)) && a.host != "" == (b.host != "") {
			t.Fatalf("%+v is %q, %+v is %q", a, id(a), b, id(b))
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	info := &PathInfo{Real: "/mnt/data/lattice_003.npz", FS: "nfs:nas.example.org", Rel: "/export/data/lattice_003.npz", ModTime: 1, Size: 9}
	for _, c := range []struct {
		name, field, value string
		info               *PathInfo
	}{
		{"word", "optimizer", "adam", nil},
		{"sentence", "message", "the loss fell below a threshold of one half, stopping", nil},
		{"path", "image", "/data/run1/lattice_003.npz", nil},
		{"relative", "model_path", "models/model_17.pkl", nil},
		{"resolved", "image", "/mnt/data/lattice_003.npz", info},
		{"https", "url", "https://user:pw@Example.org:443/a/../b/x.csv?X-Amz-Signature=12&v=2#top", nil},
		{"s3", "url", "s3://bucket/a/b/x.csv", nil},
		{"mlflow", "model_uri", "models:/lattice/3", nil},
		{"digest", "digest", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Canonical(c.field, c.value, c.info, here)
			}
		})
	}
}
