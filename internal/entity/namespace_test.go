//go:build linux

package entity

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
)

// inNamespace resolves path in new namespaces in which target is bound over
// place; it skips, and says so, where the machine does not let us.
func inNamespace(t *testing.T, flags []string, target, place, path string) PathInfo {
	t.Helper()
	if out, err := exec.Command("unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, not verified here: unshare %v is not allowed: %v: %s", flags, err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", append(flags, "sh", "-c", `mount --bind "$1" "$2" && exec "$3"`, "sh", target, place, self)...)
	cmd.Env = append(os.Environ(), resolveEnv+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("in the namespace: %v", err)
	}
	var info PathInfo
	if err := json.Unmarshal(out, &info); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return info
}

// A relative path, a symlink and a bind mount in another mount namespace lead to
// one file.
func TestBindMountInMountNamespace(t *testing.T) {
	dir := tree(t)
	place := t.TempDir()
	r := NewResolver()
	outer, err := r.Resolve("data/raw/x.npz", dir)
	if err != nil {
		t.Fatal(err)
	}
	link, err := r.Resolve("link/x.npz", dir)
	if err != nil {
		t.Fatal(err)
	}
	inner := inNamespace(t, []string{"-r", "-m"}, dir+"/data", place, place+"/raw/x.npz")
	if inner.Real != place+"/raw/x.npz" {
		t.Errorf("the task saw %s", inner.Real)
	}
	if a, b, c := identify(t, outer), identify(t, link), identify(t, inner); a != b || a != c {
		t.Errorf("relative %s, symlink %s, bind mount %s", a, b, c)
	}
	// The place itself is another directory outside the namespace.
	other, err := r.Resolve(place+"/raw/x.npz", "/")
	if err != nil {
		t.Fatal(err)
	}
	if identify(t, other) == identify(t, outer) {
		t.Error("a path outside the namespace was taken for the one inside")
	}
}

// A container with its own processes cannot know the host's path; the collector
// on the host maps it.
func TestBindMountInContainer(t *testing.T) {
	dir := tree(t)
	r := NewResolver()
	if s := r.current(); !s.onHost {
		t.Skip("SKIPPED, not verified here: these tests run in a container themselves")
	}
	outer, err := r.Resolve("data/raw/x.npz", dir)
	if err != nil {
		t.Fatal(err)
	}
	place := t.TempDir()
	inner := inNamespace(t, []string{"-r", "-m", "-p", "-f", "--mount-proc"}, dir+"/data", place, place+"/raw/x.npz")
	if inner.FS == "" {
		t.Errorf("the container believes it is the host: %+v", inner)
	}
	if a, b := identify(t, outer), identify(t, r.Outer(inner)); a != b {
		t.Errorf("host %s, container %s (%+v)", a, b, inner)
	}
}

// What a namespace keeps to itself is not the host's file of that path.
func TestPrivateTmpfs(t *testing.T) {
	dir := tree(t)
	flags := []string{"-r", "-m"}
	if out, err := exec.Command("unshare", append(flags, "true")...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED, not verified here: unshare %v is not allowed: %v: %s", flags, err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", append(flags, "sh", "-c", `mount -t tmpfs none "$1" && exec "$2"`, "sh", dir+"/data", self)...)
	cmd.Env = append(os.Environ(), resolveEnv+"="+dir+"/data/raw/x.npz")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var inner PathInfo
	if err := json.Unmarshal(out, &inner); err != nil {
		t.Fatal(err)
	}
	outer, err := NewResolver().Resolve("data/raw/x.npz", dir)
	if err != nil {
		t.Fatal(err)
	}
	if identify(t, outer) == identify(t, inner) {
		t.Errorf("a private tmpfs and the host's directory are both %s", identify(t, inner))
	}
}

// A mount that came after the table was read is found.
func TestLateMountIsSeen(t *testing.T) {
	r := NewResolver()
	s := *r.current()
	s.self = parseMounts([]byte("27 1 9999:9 / / rw - ext4 /dev/x rw\n"))
	s.home = s.self
	r.space, r.readAt = &s, r.readAt.Add(-2*rereadAtLeast)
	if _, err := r.Resolve("/etc/passwd", "/"); err != nil {
		t.Fatal(err)
	}
	if r.current() == &s {
		t.Error("the old table is still in use")
	}
}
