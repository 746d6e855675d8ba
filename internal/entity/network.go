package entity

import (
	"slices"
	"strings"
)

// network tells how a network or parallel file system is known on all its
// clients: a name and the directory of it that this mount shows. ok is false
// for local file systems.
func network(m *mount) (fs, base string, ok bool) {
	typ := strings.TrimPrefix(m.fstype, "fuse.")
	switch typ {
	case "nfs", "nfs4":
		server, dir, cut := cutServer(m.source)
		if !cut {
			return "nfs", m.point, true
		}
		return "nfs:" + serverName(server), dir, true
	case "lustre":
		// The list of servers depends on the client's network, the name does not.
		i := strings.LastIndex(m.source, ":/")
		if i < 0 {
			return "lustre", m.point, true
		}
		name, sub, _ := strings.Cut(m.source[i+2:], "/")
		return "lustre:" + name, sub, true
	case "gpfs", "mmfs":
		return "gpfs:" + lastPart(m.source), "", true
	case "ceph", "ceph-fuse":
		return ceph(m)
	case "cifs", "smb3", "smbfs", "smb2":
		src := strings.Trim(strings.ReplaceAll(m.source, `\`, "/"), "/")
		server, rest, _ := strings.Cut(src, "/")
		share, sub, _ := strings.Cut(rest, "/")
		return "cifs:" + serverName(server), joinRoot("/"+strings.ToLower(share), sub), true
	case "glusterfs":
		servers, volume, _ := strings.Cut(m.source, ":")
		server, _, _ := strings.Cut(servers, ",")
		return "glusterfs:" + serverName(server), volume, true
	case "sshfs":
		return sshfs(m)
	case "afs", "openafs", "auristorfs":
		return "afs", "/afs", true
	case "9p":
		if t := m.option("trans"); t != "tcp" && t != "rdma" {
			return "", "", false
		}
		return "9p:" + serverName(m.source), m.option("aname"), true
	case "orangefs", "pvfs2", "panfs":
		if _, rest, cut := strings.Cut(m.source, "://"); cut {
			server, name, _ := strings.Cut(rest, "/")
			return typ + ":" + serverName(server), name, true
		}
		return typ, m.point, true
	case "wekafs":
		if name := lastPart(m.source); name != "" && name != "none" {
			return "wekafs:" + name, "", true
		}
		return typ, m.point, true
	case "beegfs":
		if h := m.option("sysMgmtdHost"); h != "" {
			return "beegfs:" + serverName(h), "", true
		}
		return typ, m.point, true
	case "daos", "dfuse":
		return "daos", m.point, true
	}
	return "", "", false
}

func ceph(m *mount) (fs, base string, ok bool) {
	if name, dir, cut := strings.Cut(m.source, "=/"); cut {
		if i := strings.LastIndexByte(name, '@'); i >= 0 {
			name = name[i+1:]
		}
		return "ceph:" + name, dir, true
	}
	list, dir, cut := cutServer(m.source)
	if !cut {
		return "ceph", m.point, true
	}
	mons := strings.Split(list, ",")
	for i, mon := range mons {
		if j := strings.LastIndexByte(mon, ':'); j > strings.LastIndexByte(mon, ']') {
			mon = mon[:j]
		}
		mons[i] = serverName(mon)
	}
	slices.Sort(mons)
	return "ceph:" + strings.Join(mons, ","), dir, true
}

func sshfs(m *mount) (fs, base string, ok bool) {
	who, dir, cut := strings.Cut(m.source, ":")
	if strings.HasPrefix(m.source, "[") {
		who, dir, cut = strings.Cut(m.source, "]:")
		who = strings.TrimPrefix(who, "[")
	}
	if !cut {
		return "sshfs", m.point, true
	}
	user := ""
	if i := strings.LastIndexByte(who, '@'); i >= 0 {
		user, who = who[:i], who[i+1:]
	}
	if !strings.HasPrefix(dir, "/") {
		dir = joinRoot("/~"+user, dir)
	}
	return "sshfs:" + serverName(who), dir, true
}

// cutServer splits "server:/dir"; an IPv6 server stands in brackets.
func cutServer(source string) (server, dir string, ok bool) {
	from := strings.IndexByte(source, ']') + 1
	i := strings.Index(source[from:], ":/")
	if i < 0 {
		return "", "", false
	}
	return source[:from+i], source[from+i+1:], true
}

func serverName(s string) string {
	return strings.TrimSuffix(strings.ToLower(strings.TrimSpace(s)), ".")
}

func lastPart(s string) string {
	s = strings.TrimRight(s, "/")
	return s[strings.LastIndexByte(s, '/')+1:]
}
