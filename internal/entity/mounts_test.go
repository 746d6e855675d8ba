package entity

import (
	"os"
	"strings"
	"testing"
)

const (
	dockerID = "3f8a1c5be0d2746f9a1b2c3d4e5f60718293a4b5c6d7e8f90123456789abcdef"
	nestedNS = "4026532600"
)

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/mountinfo/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// replay is the view of a process with the given tables; init "" means that
// /proc/1/mountinfo cannot be read.
func replay(t *testing.T, self, init, pidNS, cgroup string) *space {
	t.Helper()
	return probe{
		self: func() ([]byte, error) { return recorded(t, self), nil },
		init: func() ([]byte, error) {
			if init == "" {
				return nil, os.ErrPermission
			}
			return recorded(t, init), nil
		},
		cgroup:  func() ([]byte, error) { return []byte(cgroup), nil },
		pidNS:   func() string { return pidNS },
		mntNS:   func() string { return "4026532700" },
		initAge: func() string { return "777" },
	}.read()
}

func TestLocate(t *testing.T) {
	spaces := map[string]*space{
		"laptop":         replay(t, "laptop", "laptop", initialPIDNamespace, "0::/user.slice"),
		"laptop hidepid": replay(t, "laptop", "", initialPIDNamespace, "0::/user.slice"),
		"docker":         replay(t, "docker", "docker", nestedNS, "0::/"),
		"docker host":    replay(t, "docker", "laptop", initialPIDNamespace, "0::/docker-"+dockerID+".scope"),
		"anonymous":      replay(t, "apptainer", "apptainer", nestedNS, "0::/"),
		"apptainer":      replay(t, "apptainer", "laptop", initialPIDNamespace, "0::/user.slice"),
		"appt. hidepid":  replay(t, "apptainer", "", initialPIDNamespace, "0::/user.slice"),
		"nfs a":          replay(t, "nfs-client-a", "nfs-client-a", initialPIDNamespace, ""),
		"nfs b":          replay(t, "nfs-client-b", "nfs-client-b", initialPIDNamespace, ""),
		"parallel":       replay(t, "parallel", "parallel", initialPIDNamespace, ""),
		"btrfs":          replay(t, "btrfs", "", initialPIDNamespace, ""),
		"autofs":         replay(t, "autofs", "autofs", initialPIDNamespace, ""),
		"no table":       {},
	}
	for _, c := range []struct{ space, path, fs, rel string }{
		{"laptop", "/home/ada/data/x", "", "/home/ada/data/x"},
		{"laptop", "/srv/data/x", "", "/home/ada/data/x"},
		{"laptop", "/srv/data", "", "/home/ada/data"},
		{"laptop", "/srv/database", "", "/srv/database"},
		{"laptop", "/", "", "/"},
		{"laptop", "/tmp/x", "", "/tmp/x"},
		{"laptop", "/media/ada/My Disk/x", "", "/media/ada/My Disk/x"},
		{"laptop", "/mnt/old/sub/x", "", "/mnt/old/sub/x"},
		{"laptop hidepid", "/srv/data/x", "", "/home/ada/data/x"},

		{"docker", "/data/x", "dev:259:3", "/ada/data/x"},
		{"docker", "/out/x", "container:" + dockerID, "/out/x"},
		{"docker", "/tmp/x", "container:" + dockerID, "/tmp/x"},
		{"docker host", "/data/x", "", "/home/ada/data/x"},
		{"docker host", "/out/x", "container:" + dockerID, "/out/x"},
		{"anonymous", "/out/x", "container:pid-" + nestedNS + "-777", "/out/x"},
		{"anonymous", "/input/x", "dev:259:3", "/ada/data/x"},

		{"apptainer", "/home/ada/x", "", "/home/ada/x"},
		{"apptainer", "/input/x", "", "/home/ada/data/x"},
		{"apptainer", "/tmp/x", "", "/tmp/x"},
		{"apptainer", "/var/tmp/x", "container:mnt-4026532700", "/var/tmp/x"},
		{"appt. hidepid", "/input/x", "dev:259:3", "/ada/data/x"},

		{"nfs a", "/mnt/data/run 1/x", "nfs:nas.example.org", "/export/data/run 1/x"},
		{"nfs a", "/srv/bound/x", "nfs:nas.example.org", "/export/data/run 1/x"},
		{"nfs b", "/home/shared/run1/x", "nfs:nas.example.org", "/export/data/run 1/x"},
		{"nfs a", "/scratch/day2/x", "nfs:nas", "/scratch/day2/x"},
		{"nfs b", "/work/x", "nfs:nas", "/scratch/day2/x"},
		{"nfs b", "/local/x", "nfs:localhost", "/export/x"},
		{"nfs b", "/v6/x", "nfs:[fe80::1]", "/export/x"},
		{"nfs b", "/home/x", "", "/home/x"},

		{"parallel", "/lustre/scratch/proj/x", "lustre:scratch", "/proj/x"},
		{"parallel", "/proj/x", "lustre:scratch", "/proj/x"},
		{"parallel", "/gpfs/fs1/x", "gpfs:fs1", "/x"},
		{"parallel", "/ceph/x", "ceph:2f3a1b6c-0000-4000-8000-0123456789ab.cephfs", "/vol/x"},
		{"parallel", "/oldceph/x", "ceph:10.0.0.1,10.0.0.2", "/vol/x"},
		{"parallel", "/win/x", "cifs:files.example.org", "/share/sub/x"},
		{"parallel", "/gluster/x", "glusterfs:gl1.example.org", "/vol1/x"},
		{"parallel", "/home/ada/far/x", "sshfs:login.example.org", "/work/ada/x"},
		{"parallel", "/home/ada/farhome/x", "sshfs:login.example.org", "/~ada/x"},
		{"parallel", "/afs/cern.ch/u/x", "afs", "/afs/cern.ch/u/x"},
		{"parallel", "/beegfs/proj/x", "beegfs", "/beegfs/proj/x"},
		{"parallel", "/home/proj/x", "beegfs", "/beegfs/proj/x"},
		{"parallel", "/tcp9p/x", "9p:files.example.org", "/vol/x"},
		{"parallel", "/hostshare/x", "", "/hostshare/x"},
		{"parallel", "/vfs/x", "", "/vfs/x"},
		{"parallel", "/pvfs/x", "pvfs2:io1.example.org:3334", "/orangefs/x"},
		{"parallel", "/weka/x", "wekafs:default", "/x"},
		{"parallel", "/daos/x", "daos", "/daos/x"},
		{"parallel", "/pan/x", "panfs:realm.example.org", "/vol/x"},

		{"btrfs", "/home/ada/data/x", "", "/home/ada/data/x"},
		{"btrfs", "/srv/data/x", "", "/home/ada/data/x"},
		{"btrfs", "/etc/x", "", "/etc/x"},
		{"autofs", "/home/ada/x", "nfs:nas.example.org", "/homes/ada/x"},
		{"autofs", "/home/bob/x", "", "/home/bob/x"},
		{"no table", "/a/b", "", "/a/b"},
		{"no table", "C:/a/b", "", "/C:/a/b"},
		{"no table", "//Srv/Share/b", "cifs:srv", "/share/b"},
	} {
		s := spaces[c.space]
		if fs, rel := s.locate(c.path); fs != c.fs || rel != c.rel {
			t.Errorf("%s: %s is %q %q, want %q %q", c.space, c.path, fs, rel, c.fs, c.rel)
		}
	}
	if !spaces["autofs"].stale("/home/bob/x", "0:40") || spaces["autofs"].stale("/etc/x", "8:2") || !spaces["autofs"].stale("/etc/x", "8:9") {
		t.Error("stale: an automount point and a foreign device ask for a new table, anything else does not")
	}
}

// A later mount hides an earlier one below it.
func TestFindShadowed(t *testing.T) {
	s := parseMounts([]byte("27 1 8:1 / / rw - ext4 a rw\n" +
		"30 27 8:2 / /mnt/a rw - ext4 b rw\n" +
		"31 27 8:3 / /mnt rw - ext4 c rw\n" +
		"32 31 8:4 / /mnt rw - ext4 d rw\n"))
	if m := s.find("/mnt/a/x"); m.dev != "8:4" {
		t.Errorf("/mnt/a/x is on %s, want 8:4", m.dev)
	}
	if p, ok := s.pathOf("8:2", "/x"); ok {
		t.Errorf("a hidden mount gives the path %s", p)
	}
}

func TestParseMountsSurvives(t *testing.T) {
	for _, text := range []string{"", "\n\n", "garbage", "1 2 3", "x y 0:1 / / rw - ext4 a rw", "1 1 0:1 / / rw - ext4", "1 2 0:1 / / rw\n2 1 0:1 / /a rw - x y z"} {
		s := parseMounts([]byte(text))
		s.find("/a/b")
	}
	loop := parseMounts([]byte("1 9 0:1 / / rw - x y rw\n2 1 0:1 / / rw - x y rw\n1 2 0:1 / / rw - x y rw\n"))
	loop.find("/a")
	if got := unescapeOctal(`a\040b\134c\0`); got != `a b\c\0` {
		t.Errorf("got %q", got)
	}
}

func TestOuterMapsContainerPaths(t *testing.T) {
	host := &Resolver{space: replay(t, "laptop", "laptop", initialPIDNamespace, "")}
	fs, rel := replay(t, "docker", "docker", nestedNS, "").locate("/data/x")
	info := host.Outer(PathInfo{Real: "/data/x", FS: fs, Rel: rel})
	if info.FS != "" || info.Rel != "/home/ada/data/x" || info.Real != "/data/x" {
		t.Errorf("got %+v", info)
	}
	unknown := PathInfo{FS: "dev:9:9", Rel: "/x"}
	if got := host.Outer(unknown); got != unknown {
		t.Errorf("an unknown device became %+v", got)
	}
}

func TestRuntimeID(t *testing.T) {
	none := parseMounts(nil)
	for cgroup, want := range map[string]string{
		"":                                 "",
		"0::/":                             "",
		"0::/user.slice/user-1000":         "",
		"12:cpu:/docker/" + dockerID:       dockerID,
		"0::/kubepods/pod1/" + dockerID:    dockerID,
		"0::/x/cri-" + dockerID + ".scope": dockerID,
		"0::/a" + dockerID + ".scope":      "",
		"0::/" + strings.Repeat("a", 63):   "",
	} {
		if got := runtimeID(cgroup, none); got != want {
			t.Errorf("%q gives %q, want %q", cgroup, got, want)
		}
	}
}
