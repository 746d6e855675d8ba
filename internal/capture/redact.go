package capture

import (
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

// Mark stands in a text in place of a secret.
const Mark = "[redacted]"

// KeyRedacted is the key of the marker that stands in place of a value whose name says that it is a secret.
const KeyRedacted = "$redacted"

func redacted() map[string]any { return map[string]any{KeyRedacted: true} }

var (
	secretName = regexp.MustCompile(`(?i)passw(or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential|authori[sz]ation|` +
		`(^|[_\-.])(token|pwd|bearer|cookie|signature)($|[_\-.])|(auth|access|refresh|session|id|api|bearer)[_-]?token`)
	// Counts of tokens are the most ordinary numbers of language models: only texts are secrets there.
	secretIfText = regexp.MustCompile(`(?i)token|signature|cookie`)
)

// What must occur in a text for a pattern to be tried; looking for it first keeps the usual text cheap.
const (
	hintURL uint16 = 1 << iota
	hintQuery
	hintAWS
	hintGit
	hintSlack
	hintAPI
	hintJWT
	hintPEM
	hintAuth
	hintWord
)

const secretWord = `(?:passw(?:or)?d|passphrase|secret(?:[_-]?key)?|(?:api|access|private)[_-]?key|credentials?|token)`

// secretValues are tried in this order. The groups are the secret; the rest of the match stays.
var secretValues = []struct {
	hint    uint16
	pattern *regexp.Regexp
}{
	{hintPEM, regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z))`)},
	// A user without a password is part of many addresses (abfss://container@account, ssh://git@host), only on the web
	// it is a token.
	{hintURL, regexp.MustCompile(`[a-zA-Z0-9+.\-]://([^/\s@:"'<>]*:[^/\s"'<>]*)@`)},
	{hintURL, regexp.MustCompile(`(?i)https?://([^/\s@:"'<>\[]+)@`)},
	{hintQuery, regexp.MustCompile(`(?i)[?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|AWSAccessKeyId|` +
		`Signature|sig|se|token|access_token|api_key|apikey|password|secret|auth)=([^&#\s"'\[][^&#\s"']*)`)},
	{hintQuery, regexp.MustCompile(`(?i)[?&;]key=([^&#\s"'\[][^&#\s"']{19,})`)},
	{hintAWS, regexp.MustCompile(`\b((?:AKIA|ASIA)[0-9A-Z]{16})\b`)},
	{hintGit, regexp.MustCompile(`\b(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,})`)},
	{hintSlack, regexp.MustCompile(`\b(xox[abprs]-[A-Za-z0-9\-]{10,})`)},
	{hintAPI, regexp.MustCompile(`\b(sk-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_\-]{30,})`)},
	{hintJWT, regexp.MustCompile(`\b(eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*)`)},
	{hintAuth, regexp.MustCompile(`\b[Bb]earer +([A-Za-z0-9_\-.~+/]{12,}=*)`)},
	{hintAuth, regexp.MustCompile(`(?i)authori[sz]ation["']?\s*[:=]\s*["']?(?:basic|bearer|token|digest|negotiate)\s+([^\s"',;\[][^\s"',;]{3,})`)},
	// Base64, which ordinary words are not: "basic understanding".
	{hintAuth, regexp.MustCompile(`\b[Bb]asic +([A-Za-z0-9_\-+/]{6,}={1,2}|[A-Za-z_\-+/]*[0-9][A-Za-z0-9_\-+/]{7,}=*)`)},
	{hintWord, regexp.MustCompile(`(?i)` + secretWord + `\\*["']?\s*[=:]\s*\\*(?:"([^"\n\[][^"\n]{3,})|'([^'\n\[][^'\n]{3,})|([^\s"',;&)}\[\]][^\s"',;&)}\]]{3,}))`)},
	{hintWord, regexp.MustCompile(`(?i)--(?:[a-z0-9]+-)*` + secretWord + ` +([^\s"',;\-\[][^\s"',;]{3,})`)},
}

// Text returns a text without the secrets in it, and how many there were. Doing it again changes nothing.
func Text(s string) (string, int) {
	h := hints(s)
	if h == 0 {
		return s, 0
	}
	count := 0
	for i := range secretValues {
		if v := &secretValues[i]; h&v.hint != 0 {
			var n int
			s, n = replace(v.pattern, s)
			count += n
		}
	}
	return s, count
}

func replace(re *regexp.Regexp, s string) (string, int) {
	found := re.FindAllStringSubmatchIndex(s, -1)
	if found == nil {
		return s, 0
	}
	var b strings.Builder
	last := 0
	for _, m := range found {
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				b.WriteString(s[last:m[g]])
				b.WriteString(Mark)
				last = m[g+1]
			}
		}
	}
	b.WriteString(s[last:])
	return b.String(), len(found)
}

// hints looks at every byte once. It may see too much, never too little.
func hints(s string) (h uint16) {
	for i := 0; i < len(s); i++ {
		if !begins[s[i]] {
			continue
		}
		switch s[i] {
		case ':':
			if strings.HasPrefix(s[i+1:], "//") {
				h |= hintURL
			}
		case '=':
			h |= hintQuery & query(s[:i])
		case 'A':
			switch prefix(s[i:], 4) {
			case "AKIA", "ASIA":
				h |= hintAWS
			case "AIza":
				h |= hintAPI
			}
			if hasFold(s[i:], "authori") {
				h |= hintAuth
			}
		case 'g':
			if s[i+1:] != "" && s[i+1] == 'h' || strings.HasPrefix(s[i:], "github_pat_") || strings.HasPrefix(s[i:], "glpat-") {
				h |= hintGit
			}
		case 'x':
			if strings.HasPrefix(s[i:], "xox") {
				h |= hintSlack
			}
		case 'h':
			if strings.HasPrefix(s[i:], "hf_") {
				h |= hintAPI
			}
		case 'e':
			if strings.HasPrefix(s[i:], "eyJ") {
				h |= hintJWT
			}
		case '-':
			if strings.HasPrefix(s[i:], "-----BEGIN ") {
				h |= hintPEM
			}
		case 'b', 'B':
			if hasFold(s[i:], "bearer") || hasFold(s[i:], "basic") {
				h |= hintAuth
			}
		case 'a':
			if hasFold(s[i:], "authori") {
				h |= hintAuth
			}
		case 's', 'S':
			if strings.HasPrefix(s[i:], "sk-") {
				h |= hintAPI
			}
			if hasFold(s[i:], "secret") {
				h |= hintWord
			}
		case 'p', 'P':
			if hasFold(s[i:], "pass") {
				h |= hintWord
			}
		case 't', 'T':
			if hasFold(s[i:], "token") {
				h |= hintWord
			}
		case 'k', 'K':
			if hasFold(s[i:], "key") {
				h |= hintWord
			}
		case 'c', 'C':
			if hasFold(s[i:], "credential") {
				h |= hintWord
			}
		}
	}
	return h
}

// begins holds the first bytes of all hints.
var begins = func() (b [256]bool) {
	for _, c := range []byte(":=-AaBbCcKkPpSsTteghx") {
		b[c] = true
	}
	return b
}()

// query says whether a name=… at the end of s is a parameter of a URL.
func query(s string) uint16 {
	for i := len(s) - 1; i >= 0 && len(s)-i < 24; i-- {
		switch c := s[i]; {
		case c == '?' || c == '&' || c == ';':
			return hintQuery
		case c != '-' && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z'):
			return 0
		}
	}
	return 0
}

func prefix(s string, n int) string { return s[:min(n, len(s))] }

// hasFold says whether s begins with a word, given in lower case.
func hasFold(s, word string) bool {
	return len(s) >= len(word) && s[1]|0x20 == word[1] && strings.EqualFold(s[:len(word)], word)
}

// nameWords occur in names of secrets, by their first letter.
var nameWords = func() (byFirst [256][]string) {
	for _, w := range []string{"pass", "pwd", "secret", "signature", "key", "cred", "cookie", "auth", "token", "bearer"} {
		byFirst[w[0]] = append(byFirst[w[0]], w)
		byFirst[w[0]-0x20] = byFirst[w[0]]
	}
	return byFirst
}()

// nameHint says whether a name may be that of a secret.
func nameHint(name string) bool {
	for i := 0; i+2 < len(name); i++ {
		for _, w := range nameWords[name[i]] {
			if name[i+1]|0x20 == w[1] && name[i+2]|0x20 == w[2] && hasFold(name[i:], w) {
				return true
			}
		}
	}
	return false
}

// secrecy of a name.
type secrecy uint8

const (
	public secrecy = iota
	secretText
	secret
)

// names that were looked at; bounded, because data can be keys.
var (
	names      sync.Map
	namesCount atomic.Int64
)

const maxNames = 10_000

func secrecyOf(name string) secrecy {
	if !nameHint(name) {
		return public
	}
	if known, ok := names.Load(name); ok {
		return known.(secrecy)
	}
	s := public
	if secretName.MatchString(name) {
		if s = secret; secretIfText.MatchString(name) {
			s = secretText
		}
	}
	if namesCount.Add(1) <= maxNames {
		names.Store(strings.Clone(name), s)
	}
	return s
}

// hides says whether a value is a secret because of its name.
func hides(name string, v any) bool {
	s := secrecyOf(name)
	if s == public || v == nil {
		return false
	}
	switch v := v.(type) {
	case bool:
		return false
	case map[string]any:
		if done, ok := v[KeyRedacted]; ok && done == true && len(v) == 1 {
			return false
		}
		_, cut := v[keyCut]
		return s == secret || cut && len(v) == 1
	case string, []byte:
		return true
	case []any:
		if s == secret {
			return true
		}
		for _, e := range v {
			if _, ok := e.(string); ok {
				return true
			}
		}
		return false
	}
	return s == secret
}

// Value returns a named value without the secrets in it, and how many there were. It does not change v.
func Value(name string, v any) (any, int) {
	w := walk{}
	out, _ := w.named(name, v)
	return out, w.n.Redacted
}
