package mlflowreceiver

import (
	"regexp"
	"strings"
)

// The rules are those of the Python observer, so that one secret looks the same wherever it was seen.
var (
	secretKey = regexp.MustCompile(`(?i)passw(or)?d|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key|credential|authori[sz]ation|` +
		`(^|[_\-.])(token|pwd|bearer|cookie|signature)($|[_\-.])|(auth|access|refresh|session|id|api|bearer)[_-]?token`)
	// Counts of tokens are the most ordinary numbers of language models: only texts are secrets there.
	secretIfText = regexp.MustCompile(`(?i)token|signature|cookie`)
	secretHint   = regexp.MustCompile(`://|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|hf_|eyJ|-----BEGIN|[Bb]earer |[Bb]asic |AIza|(?i:pass|secret|token|key)`)
	secretValues = []struct {
		pattern *regexp.Regexp
		with    string
	}{
		{regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)`), redactedMark},
		{regexp.MustCompile(`(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)[^/\s@:]*(:[^/\s@]*)?@`), "${1}" + redactedMark + "@"},
		{regexp.MustCompile(`(?i)([?&;](?:X-Amz-(?:Signature|Credential|Security-Token)|X-Goog-(?:Signature|Credential)|AWSAccessKeyId|` +
			`Signature|sig|se|token|access_token|api_key|apikey|key|password|secret|auth)=)[^&#\s"']+`), "${1}" + redactedMark},
		{regexp.MustCompile(`\b(?:AKIA|ASIA)[0-9A-Z]{16}\b`), redactedMark},
		{regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,})`), redactedMark},
		{regexp.MustCompile(`\bxox[abprs]-[A-Za-z0-9\-]{10,}`), redactedMark},
		{regexp.MustCompile(`\b(?:sk-[A-Za-z0-9_\-]{20,}|hf_[A-Za-z0-9]{20,}|AIza[A-Za-z0-9_\-]{30,})`), redactedMark},
		{regexp.MustCompile(`\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]*`), redactedMark},
		{regexp.MustCompile(`\b([Bb]earer|[Bb]asic) +[A-Za-z0-9_\-.~+/]{12,}=*`), "${1} " + redactedMark},
		{regexp.MustCompile(`(?i)(\b[\w\-]*(?:passw(?:or)?d|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|token)` +
			`["']?\s*[=:]\s*["']?)([^\s"',;&)}\]]{4,})`), "${1}" + redactedMark},
	}
)

const redactedMark = "[redacted]"

// redacted is the value in place of a secret.
func redacted() map[string]any { return map[string]any{"$redacted": true} }

// redactText takes secrets out of a text.
func redactText(s string) string {
	if len(s) < 8 || !secretHint.MatchString(s) {
		return s
	}
	for _, v := range secretValues {
		if v.pattern.MatchString(s) {
			s = v.pattern.ReplaceAllString(s, v.with)
		}
	}
	return s
}

// redactor replaces secrets in the values of one run and counts them.
type redactor struct {
	names []string // globs of the configuration
	count int
}

// value is v unless its name or its text say that it is a secret.
func (r *redactor) value(name string, v any) any {
	text, isText := v.(string)
	if anyMatch(r.names, name) || secretKey.MatchString(name) && isSecretValue(name, v, isText) {
		r.count++
		return redacted()
	}
	if isText {
		return capText(r.text(text))
	}
	return v
}

func isSecretValue(name string, v any, isText bool) bool {
	if isText {
		return strings.TrimSpace(v.(string)) != ""
	}
	_, isBool := v.(bool)
	return !isBool && !secretIfText.MatchString(name)
}

func (r *redactor) text(s string) string {
	out := redactText(s)
	if out != s {
		r.count++
	}
	return out
}
