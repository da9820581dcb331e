// The `urls` contract against a server that behaves, one that is away for a while, and one that does not behave.
package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// yard is fileyard's end: an input, and what came back. The first `cuts` downloads break off in the middle, the first
// `sick` requests are answered with 503.
type yard struct {
	input      []byte
	cuts, sick int
	refuses    int // a status for every PUT
	mutex      sync.Mutex
	put        map[string][]byte
	ranges     []string
}

func (y *yard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	y.mutex.Lock()
	defer y.mutex.Unlock()
	if y.sick > 0 {
		y.sick--
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	if r.Method == http.MethodPut {
		content, _ := io.ReadAll(r.Body)
		if y.refuses != 0 {
			http.Error(w, "no\nroom", y.refuses)
			return
		}
		y.put[strings.TrimPrefix(r.URL.Path, "/v1/secret/")] = content
		w.WriteHeader(http.StatusCreated)
		return
	}
	y.ranges = append(y.ranges, r.Header.Get("Range")+r.Header.Get("If-Range"))
	w.Header().Set("ETag", `"tag"`)
	if y.cuts > 0 {
		y.cuts--
		w = &cut{w, len(y.input) / 3}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(y.input))
}

// cut breaks its connection after some bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func byURLs(t *testing.T, y *yard) ran {
	t.Helper()
	y.put = map[string][]byte{}
	server := httptest.NewServer(y)
	defer server.Close()
	base := server.URL + "/v1/secret/"
	r := runIn(t, t.TempDir(), map[string]string{
		"FILEYARD_INPUT_NAME": "a.txt", "FILEYARD_INPUT_URL": base + "input",
		"FILEYARD_OUTPUT_URL": base + "output", "FILEYARD_RESULT_URL": base + "result",
	})
	if strings.Contains(r.stdout+r.stderr, "secret") {
		t.Errorf("a token was printed: %s%s", r.stdout, r.stderr)
	}
	json.Unmarshal(y.put["result"], &r.result)
	return r
}

func TestByURLsTheResultIsTheSame(t *testing.T) {
	content := []byte("hello there\n")
	y := &yard{input: content}
	r := byURLs(t, y)
	if r.code != exitDone || r.result.Text.Words != 2 {
		t.Fatalf("exit %d: %s %+v", r.code, r.stderr, r.result)
	}
	if want := process(t, "a.txt", content, nil).result.Digests; r.result.Digests != want {
		t.Errorf("got %+v, want %+v", r.result.Digests, want)
	}
	if !bytes.Contains(y.put["output/report.txt"], []byte(r.result.Digests.SHA256)) {
		t.Errorf("report: %s", y.put["output/report.txt"])
	}
}

func TestADownloadThatBreaksOffGoesOn(t *testing.T) {
	y := &yard{input: bytes.Repeat([]byte("word "), 400_000), cuts: 2, sick: 2}
	r := byURLs(t, y)
	if r.code != exitDone || r.result.Size != 2_000_000 || r.result.Text.Words != 400_000 {
		t.Fatalf("exit %d: %s %+v", r.code, r.stderr, r.result)
	}
	if len(y.ranges) != 3 || y.ranges[0] != "" || !strings.HasSuffix(y.ranges[2], `-"tag"`) {
		t.Errorf("asked for %q", y.ranges)
	}
}

func TestARefusedOutputIsAnEndAndSaysWhy(t *testing.T) {
	r := byURLs(t, &yard{input: []byte("x"), refuses: http.StatusRequestEntityTooLarge})
	if r.code != exitFailed || !strings.Contains(r.stderr, "413") || !strings.Contains(r.stderr, "no?room") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
}
