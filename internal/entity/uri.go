package entity

import (
	"path"
	"strings"
	"unicode/utf8"
)

// objectSchemes maps each way to write an object store's or a cluster file
// system's address to one. Their keys are literal: no escapes, no dot segments.
var objectSchemes = map[string]string{
	"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs", "az": "az", "adl": "adl",
	"abfs": "abfs", "abfss": "abfs", "wasb": "wasb", "wasbs": "wasb", "oss": "oss", "cos": "cos", "cosn": "cos",
	"swift": "swift", "hdfs": "hdfs", "viewfs": "viewfs", "dbfs": "dbfs", "hf": "hf", "r2": "r2", "b2": "b2",
}

// webSchemes maps schemes with RFC 3986 paths to their default port.
var webSchemes = map[string]string{
	"http": "80", "https": "443", "ftp": "21", "sftp": "22", "webdav": "80", "webdavs": "443", "dav": "80", "davs": "443",
	"gsiftp": "2811", "root": "1094", "xroot": "1094", "globus": "",
}

// secretParams are query parameters that say who may read, not what is read.
var secretParams = set("sig se sp sv sr st ss srt spr skoid sktid skt ske sks skv signature expires key-pair-id policy " +
	"awsaccesskeyid googleaccessid token access_token api_key apikey auth authorization password secret sas")

// keyLength is from where on a parameter called "key" is taken for an API key;
// shorter ones select something.
const keyLength = 20

// fromURI is the identity of what a URI names. Schemes not listed here (database
// connections, message brokers, a scheduler's address) are services, not things.
func fromURI(scheme, rest string, where Where) (Entity, bool) {
	form := ""
	switch {
	case scheme == "doi":
		form = doi(rest)
	case scheme == "ark":
		if rest = strings.TrimLeft(rest, "/"); len(rest) > 6 && isDigit(rest[0]) {
			form = "ark:/" + escapeIDPath(rest)
		}
	case objectSchemes[scheme] != "":
		form = objectURI(objectSchemes[scheme], rest, where)
	default:
		if port, ok := webSchemes[scheme]; ok && strings.HasPrefix(rest, "//") {
			form = webURI(scheme, port, rest[2:], where)
		}
	}
	if form == "" {
		return Entity{}, false
	}
	return Entity{ID: "uri:" + form, Evidence: EvidenceURI, Confidence: confURI, Form: form}, true
}

func doi(s string) string {
	s = strings.ToLower(strings.TrimLeft(s, "/"))
	if !strings.HasPrefix(s, "10.") || !strings.Contains(s, "/") {
		return ""
	}
	return "doi:" + escapeIDPath(s)
}

func objectURI(scheme, rest string, where Where) string {
	authority, key := "", rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		authority, key, _ = strings.Cut(after, "/")
	}
	key = strings.Trim(key, "/")
	if k, query, ok := strings.Cut(key, "?"); ok && secretQuery(query) {
		key = strings.TrimRight(k, "/")
	}
	if key == "" || !literal(key) || !literal(authority) || strings.IndexByte(authority, ' ') >= 0 {
		return "" // a whole bucket is a place, not a thing
	}
	authority = strings.ToLower(authority)
	switch scheme {
	case "abfs", "wasb": // container@account
	case "hdfs":
		authority = strings.TrimSuffix(authority[strings.LastIndexByte(authority, '@')+1:], ":8020")
	default:
		authority = authority[strings.LastIndexByte(authority, '@')+1:]
	}
	if authority == "" { // the default cluster or workspace of the site
		if where.Site == "" {
			authority = "~"
		} else {
			authority = "~" + authorityName(where.Site)
		}
	} else if isLoopback(authority) {
		if authority = hostLoopback(authority, where); authority == "" {
			return ""
		}
	}
	return scheme + "://" + authority + "/" + key
}

// literal reports whether s can stand in an ID as it is.
func literal(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

func webURI(scheme, port, rest string, where Where) string {
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	authority, p, _ := strings.Cut(rest, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	host, ok := webHost(strings.ToLower(authority), port)
	if !ok {
		return ""
	}
	if isLoopback(host) {
		if host = hostLoopback(host, where); host == "" {
			return ""
		}
	}
	slash := strings.HasSuffix(p, "/") && hasName(p)
	p = path.Clean("/" + normalEscapes(p))
	query = publicQuery(query)
	if p == "/" && query == "" {
		return "" // the address of a service
	}
	if slash && p != "/" {
		p += "/"
	}
	if query != "" {
		query = "?" + query
	}
	if host == "doi.org" || host == "dx.doi.org" {
		if form := doi(unescape(p)); form != "" {
			return form
		}
	}
	return scheme + "://" + host + p + query
}

// hostLoopback names a loopback address by the host it loops on.
func hostLoopback(authority string, where Where) string {
	if where.Host == "" {
		return ""
	}
	_, port, ok := strings.Cut(strings.TrimPrefix(authority, "[::1]"), ":")
	name := authorityName(where.Host)
	if where.Site != "" {
		name += "." + authorityName(where.Site)
	}
	name += ".localhost"
	if ok {
		name += ":" + port
	}
	return name
}

// authorityName writes a host or a site so that it can stand in an authority.
func authorityName(s string) string {
	var b strings.Builder
	for _, c := range []byte(strings.ToLower(s)) {
		if unreserved(c) && c != '~' {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToLower(string([]byte{upperHex[c>>4], upperHex[c&15]})))
	}
	return b.String()
}

// webHost checks host[:port] and drops the port where it is the default one.
func webHost(authority, defaultPort string) (string, bool) {
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
	}
	host = serverName(host)
	if host == "" || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	if c := host[0]; !isAlnum(c) && c != '[' && c != '_' && c != '%' && c < 0x80 {
		return "", false
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`"<>\^{}|*,;'()$`, c) >= 0 {
			return "", false
		}
	}
	if strings.IndexByte(host[strings.IndexByte(host, ']')+1:], ':') >= 0 {
		return "", false
	}
	if !utf8.ValidString(host) || strings.HasSuffix(host, ".") {
		return "", false
	}
	if port != "" && port != defaultPort {
		host += ":" + port
	}
	return host, true
}

// normalEscapes decodes escapes of unreserved characters, writes the others in
// upper case, and escapes what has no place in a URI.
func normalEscapes(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c == '%' || c <= ' ' || c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c, wasEscaped := s[i], false
		if escaped(s[i:]) {
			c, wasEscaped = byte(hexValue(s[i+1])<<4|hexValue(s[i+2])), true
			i += 2
		}
		if unreserved(c) || !wasEscaped && c > ' ' && c < 0x7f && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
	return b.String()
}

func unreserved(c byte) bool {
	return isAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func publicQuery(query string) string {
	if query == "" {
		return ""
	}
	var keep []string
	for p := range strings.SplitSeq(query, "&") {
		if p != "" && !secretParam(p) {
			keep = append(keep, normalEscapes(p))
		}
	}
	return strings.Join(keep, "&")
}

func secretParam(p string) bool {
	name, value, _ := strings.Cut(p, "=")
	name = strings.ToLower(unescape(name))
	return secretParams[name] || name == "key" && len(value) >= keyLength || strings.HasPrefix(name, "x-amz-") || strings.HasPrefix(name, "x-goog-") || strings.HasPrefix(name, "x-ms-")
}

func secretQuery(query string) bool {
	for p := range strings.SplitSeq(query, "&") {
		if secretParam(p) {
			return true
		}
	}
	return false
}
