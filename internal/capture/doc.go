// Package capture decides what of a task event may leave an observer. It does no I/O.
//
//   - [Text], [Value]: take secrets out, known by the name of a field or by what they look like.
//   - [Config], [Policy]: which activities and fields are captured, whether values are, and how large they may be.
//   - [Policy.Apply]: both, for a whole event.
//
// The rules are those of the Python package (python/mida/redact.py, capture.py). testdata/cases.json holds for both:
// python/tests/test_redact_shared.py runs it too.
package capture
