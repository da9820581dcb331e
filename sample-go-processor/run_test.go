// Whole runs, as fileyard does them: a file in one directory, results in another, words on standard output.
package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type ran struct {
	code           int
	stdout, stderr string
	out            string
	result         result
}

func process(t *testing.T, name string, content []byte, env map[string]string) ran {
	t.Helper()
	in := t.TempDir()
	if err := os.WriteFile(filepath.Join(in, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return runIn(t, in, env)
}

func runIn(t *testing.T, in string, env map[string]string, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	r := ran{out: t.TempDir()}
	r.code = processor{
		args:   args,
		getenv: func(name string) string { return env[name] },
		stdout: &stdout, stderr: &stderr,
		in: in, out: r.out,
	}.run()
	r.stdout, r.stderr = stdout.String(), stderr.String()
	if written, err := os.ReadFile(filepath.Join(r.out, "result.json")); err == nil {
		if err := json.Unmarshal(written, &r.result); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestARunFromEndToEnd(t *testing.T) {
	r := process(t, "a.txt", []byte("hello\n"), map[string]string{"FILEYARD_JOB_ID": "j-1", "FILEYARD_ATTEMPT": "2", "FILEYARD_INPUT_NAME": "bell\x07\n.txt"})
	if r.code != exitDone || r.stderr != "" {
		t.Fatalf("exit %d: %s", r.code, r.stderr)
	}
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if lines[0] != "sample-go-processor: start job=j-1 attempt=2" || strings.Count(r.stdout, "start job=") != 1 {
		t.Errorf("said %q", lines)
	}
	if lines[len(lines)-2] != "fileyard:progress 1.00 done" {
		t.Errorf("said %q", lines)
	}
	want := digestResult{
		MD5: "b1946ac92492d2347c6235b4d2611184", SHA1: "f572d396fae9206628714fb2ce00f72e94f2258f",
		SHA256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", CRC32: "363a3020",
	}
	if r.result.Digests != want || r.result.Size != 6 || r.result.Kind != kindText || r.result.Type != "text/plain" || r.result.Text.Words != 1 {
		t.Errorf("got %+v", r.result)
	}
	reported, err := os.ReadFile(filepath.Join(r.out, "report.txt"))
	if err != nil || !regexp.MustCompile(`(?m)^file +bell\?\?\.txt$`).Match(reported) || !bytes.Contains(reported, []byte(want.SHA256)) {
		t.Errorf("report: %s, %v", reported, err)
	}
}

// TestResultShape is what README.md promises: these keys, always.
func TestResultShape(t *testing.T) {
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("a"), "table.csv": []byte("a,b\n1,2\n"), "data": {0}, "image": encoded(t, "image/png", halves(300, 3)),
	} {
		r := process(t, name, content, nil)
		written, err := os.ReadFile(filepath.Join(r.out, "result.json"))
		var keys map[string]json.RawMessage
		if err != nil || json.Unmarshal(written, &keys) != nil || len(keys) != 8 {
			t.Fatalf("%s: %s, %v", name, written, err)
		}
		for _, key := range []string{"kind", "type", "size", "digests", "text", "table", "image", "notes"} {
			filled := keys[key] != nil && string(keys[key]) != "null"
			own := key == "text" || key == "table" || key == "image"
			if keys[key] == nil || filled != (!own || string(r.result.Kind) == key) {
				t.Errorf("%s: %s is %s", name, key, keys[key])
			}
		}
		if string(keys["notes"]) != "[]" {
			t.Errorf("%s: notes %s", name, keys["notes"])
		}
	}
}

func TestThumbnailAndParams(t *testing.T) {
	r := process(t, "p", encoded(t, "image/jpeg", halves(200, 100)), map[string]string{"FILEYARD_PARAM_THUMBNAIL": "50"})
	file, err := os.Open(filepath.Join(r.out, r.result.Image.Thumbnail.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if header, err := png.DecodeConfig(file); err != nil || header.Width != 50 || header.Height != 25 {
		t.Errorf("thumbnail: %+v, %v", header, err)
	}
	top := process(t, "t", []byte("a b c d e"), map[string]string{"FILEYARD_PARAM_TOP": "2"})
	if len(top.result.Text.TopWords) != 2 {
		t.Errorf("top 2: %v", top.result.Text.TopWords)
	}
	for name, wrong := range map[string]string{"FILEYARD_PARAM_TOP": "many", "FILEYARD_PARAM_THUMBNAIL": "0"} {
		r := process(t, "t", []byte("a"), map[string]string{name: wrong})
		if r.code != exitFailed || !strings.Contains(r.stderr, name) {
			t.Errorf("%s: exit %d, %q", name, r.code, r.stderr)
		}
	}
}

func TestByteOrderMarkIsSkipped(t *testing.T) {
	table := process(t, "a.csv", []byte("\xef\xbb\xbf\"id\",b\n1,2\n"), nil)
	if table.result.Table.Columns[0].Name != "id" || table.result.Size != 14 {
		t.Errorf("got %+v", table.result.Table)
	}
	text := process(t, "a.txt", []byte("\xef\xbb\xbfhi"), nil)
	if text.result.Text.Characters != 2 {
		t.Errorf("got %+v", text.result.Text)
	}
}

// TestPiecesAreOnePass: the head that was looked at is neither lost nor read twice, around its very size.
func TestPiecesAreOnePass(t *testing.T) {
	for _, size := range []int{headSize - 1, headSize, headSize + 1, 3*headSize + 7} {
		r := process(t, "big.txt", bytes.Repeat([]byte("word "), size/5+1)[:size], nil)
		if r.result.Size != int64(size) || r.result.Text.Characters != int64(size) || r.result.Text.Words != int64(size+4)/5 {
			t.Errorf("%d: %+v %+v", size, r.result, r.result.Text)
		}
	}
	padded := append(encoded(t, "image/png", halves(9, 9)), make([]byte, 2*headSize)...)
	if r := process(t, "p.png", padded, nil); r.result.Size != int64(len(padded)) || r.result.Image.Thumbnail == nil {
		t.Errorf("got %+v", r.result)
	}
}

func TestHostileTableStaysSmall(t *testing.T) {
	wide := "\x01\xff" + strings.Repeat("\x01", 60)
	row := strings.Repeat("\""+strings.Repeat("\b\xff", 60)+"\",", 100_000)
	r := process(t, "wide.csv", []byte(row+"\n"+row+"\n"), nil)
	info, err := os.Stat(filepath.Join(r.out, "result.json"))
	if err != nil || info.Size() > 1<<20 {
		t.Errorf("exit %d %s: %v, %v", r.code, r.stderr, info, err)
	}
	if data := process(t, "wide.csv", []byte(wide), nil); data.result.Kind != kindData {
		t.Errorf("control characters are %s", data.result.Kind)
	}
}
