package entity

import "strings"

// digestLen is the number of hex digits of each digest.
var digestLen = map[string]int{
	"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128,
	"blake2b": 128, "blake2s": 64, "blake3": 64, "xxh64": 16, "xxh128": 32,
}

// emptyDigests are those of no bytes at all: every empty file has them.
var emptyDigests = set("d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709 " +
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 " +
	"d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f " +
	"38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b95b " +
	"cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e " +
	"786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce " +
	"69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9 " +
	"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 ef46db3751d8e999 99aa06d3014798d86001c324468d497f")

func fromDigest(algo, hex string) (Entity, bool) {
	hex = strings.ToLower(hex)
	if n := digestLen[algo]; n == 0 || len(hex) != n || !allHex(hex) || emptyDigests[hex] {
		return Entity{}, false
	}
	if strings.Trim(hex, hex[:1]) == "" {
		return Entity{}, false // zeros stand for "none"
	}
	form := algo + ":" + hex
	return Entity{ID: "digest:" + form, Evidence: EvidenceDigest, Confidence: confDigest, Form: form}, true
}

// fromField takes ids that only their field explains.
func fromField(field, value string) (Entity, bool) {
	if len(value) < 16 || len(value) > 128 || !isAlnum(value[0]) || !isAlnum(value[len(value)-1]) {
		return Entity{}, false
	}
	if isLoggedModel(value) {
		return mlflow("model:" + value), true
	}
	if !allHex(strings.ToLower(value)) {
		return Entity{}, false
	}
	name := strings.ToLower(field[strings.LastIndexByte(field, '.')+1:])
	if isRunID(value) && (name == "run_id" || name == "run_uuid" || name == "runid" || strings.HasSuffix(name, "_run_id")) {
		return mlflow("run:" + value), true
	}
	return fromDigest(name[strings.LastIndexByte(name, '_')+1:], value)
}

func mlflow(form string) Entity {
	return Entity{ID: "mlflow:" + form, Evidence: EvidenceID, Confidence: confID, Form: form}
}

// fromMLflow reads MLflow's own URIs and our own ids of its things.
func fromMLflow(scheme, rest string) (Entity, bool) {
	switch scheme {
	case "mlflow":
		switch kind, id, _ := strings.Cut(rest, ":"); kind {
		case "run":
			return mlflowRun(id)
		case "model":
			return mlflowModel(id)
		}
		return Entity{}, false
	case "models":
		return mlflowModel(strings.TrimLeft(rest, "/"))
	case "runs":
		return mlflowRun(strings.TrimLeft(rest, "/"))
	}
	// mlflow-artifacts:/<experiment>/<run>/artifacts/<path>, …/models/<model>/artifacts
	parts := strings.Split(rest, "/")
	for i, p := range parts {
		switch {
		case isRunID(p) && i+1 < len(parts) && parts[i+1] == "artifacts":
			return mlflowRun(strings.Join(append([]string{p}, parts[i+2:]...), "/"))
		case isLoggedModel(p):
			return mlflowModel(p)
		}
	}
	return Entity{}, false
}

func mlflowRun(s string) (Entity, bool) {
	id, artifact, _ := strings.Cut(s, "/")
	if !isRunID(id) {
		return Entity{}, false
	}
	if artifact = strings.TrimPrefix(cleanAbs(unescape(artifact)), "/"); artifact != "" {
		id += "/" + escape(artifact, isIDMark)
	}
	return mlflow("run:" + id), true
}

// mlflowModel reads <name>/<version>, <name>/<stage>, <name>@<alias>, m-<id>.
func mlflowModel(s string) (Entity, bool) {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimRight(s, "/")
	if id, _, _ := strings.Cut(s, "/"); isLoggedModel(id) {
		return mlflow("model:" + id), true
	}
	i := strings.LastIndexAny(s, "/@")
	if i <= 0 || i+1 == len(s) || strings.Contains(s[:i], "/") {
		return Entity{}, false
	}
	version := s[i+1:]
	e := mlflow("model:" + escapeModel(s[:i]) + s[i:i+1] + escapeModel(version))
	if s[i] == '@' || strings.Trim(version, "0123456789") != "" {
		e.Confidence = confMoving
	} else if version[0] == '0' {
		return Entity{}, false // versions count from 1
	}
	return e, true
}

// escapeIDPath makes one form of text that may or may not be percent-escaped.
func escapeIDPath(s string) string { return escape(unescape(s), isIDMark) }

func escapeModel(s string) string {
	return escape(unescape(s), func(c byte) bool { return isIDMark(c) || c == '/' || c == '@' })
}

func isIDMark(c byte) bool { return c == '%' || c == '?' || c == '#' }

func isRunID(s string) bool { return len(s) == 32 && allHex(s) }

func isLoggedModel(s string) bool {
	return len(s) == 34 && s[0] == 'm' && s[1] == '-' && allHex(s[2:])
}

func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return s != ""
}
