//go:build linux

// The verbs that speak the `urls` contract, well and badly; and how `write`, `result` and the list itself go by it,
// where the environment has its addresses.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// address is one of the contract's, or empty where it is not spoken.
func address(what string) string { return os.Getenv("FILEYARD_" + what + "_URL") }

// sendTo sends one request, and gives the answer's status and at most 1 MiB of its body. A server that is away is waited
// for: one that is restarted is, for some seconds.
func sendTo(method, to, ranges string, body func() io.Reader) (*http.Response, error) {
	for tries := 0; ; tries++ {
		request, err := http.NewRequest(method, to, body())
		if err != nil {
			return nil, errors.New("not an address")
		}
		if ranges != "" {
			request.Header.Set("Range", ranges)
		}
		response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
		if err == nil || tries == 600 {
			return response, bare(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// bare is an error without the address, whose token is nobody's business.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func nothing() io.Reader { return nil }

// told says how a request ended, and goes on.
func told(verb string, response *http.Response, err error, sum hash.Hash) error {
	if err != nil {
		fmt.Printf("drill: %s: %v\n", verb, err)
		return nil
	}
	defer response.Body.Close()
	if sum == nil {
		sum = sha256.New()
	}
	n, err := io.Copy(sum, response.Body)
	if err != nil {
		fmt.Printf("drill: %s: %d, then: %v\n", verb, response.StatusCode, err)
		return nil
	}
	fmt.Printf("drill: %s: %d, %d bytes, sha256 %s\n", verb, response.StatusCode, n, hex.EncodeToString(sum.Sum(nil)))
	return nil
}

// mustSend is for the verbs that are of both contracts: a refusal is a failure, as a full disk would be.
func mustSend(method, to string, content []byte) error {
	response, err := sendTo(method, to, "", func() io.Reader { return bytes.NewReader(content) })
	if err != nil {
		return err
	}
	defer response.Body.Close()
	words, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s", response.Status, words)
	}
	return nil
}

func output(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return address("OUTPUT") + "/" + strings.Join(parts, "/")
}

func fetchScript() ([]byte, error) {
	response, err := sendTo("GET", address("INPUT"), "", nothing)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 1<<20))
}

// get asks for the input, or with a range (`bytes=0-9`) for a part of it.
func get(args []string) error {
	ranges := args[0]
	if ranges == "all" {
		ranges = ""
	}
	response, err := sendTo("GET", address("INPUT"), ranges, nothing)
	return told("get", response, err, nil)
}

// request is sent once: where it is not to arrive, nobody may ever answer.
func request(args []string) error {
	request, err := http.NewRequest(args[0], args[1], nil)
	if err != nil {
		return errors.New("not an address")
	}
	response, err := (&http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}).Do(request)
	return told("request", response, bare(err), nil)
}

// put sends an output of SIZE bytes in TIME, in chunks.
func put(args []string) error {
	left, err := size(args[1])
	if err != nil {
		return err
	}
	spread, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	slow := &trickle{left: left, pause: spread / 10, piece: left/10 + 1}
	if spread == 0 {
		slow.piece = 1 << 20
	}
	request, err := http.NewRequest("PUT", output(args[0]), slow)
	if err != nil {
		return errors.New("not an address")
	}
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	return told("put "+args[0], response, bare(err), nil)
}

// trickle is a body that comes in pieces with pauses between.
type trickle struct {
	left, piece int64
	pause       time.Duration
}

func (t *trickle) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(t.pause)
	n := int64(len(p))
	for _, most := range []int64{t.piece, t.left} {
		if n > most {
			n = most
		}
	}
	for i := range p[:n] {
		p[i] = "fileyard drill. "[i%16]
	}
	t.left -= n
	return int(n), nil
}

// pipe streams the input into an output: no more of it is ever held than a buffer.
func pipe(args []string) error {
	input, err := sendTo("GET", address("INPUT"), "", nothing)
	if err != nil {
		return bare(err)
	}
	defer input.Body.Close()
	sum := sha256.New()
	request, err := http.NewRequest("PUT", output(args[0]), io.TeeReader(input.Body, sum))
	if err != nil {
		return errors.New("not an address")
	}
	response, err := (&http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10}}).Do(request)
	if err != nil {
		return bare(err)
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
	digest := hex.EncodeToString(sum.Sum(nil))
	if response.StatusCode != http.StatusCreated || !strings.Contains(string(answer), digest) {
		return fmt.Errorf("sent %s, answered %s %s", digest, response.Status, answer)
	}
	fmt.Printf("drill: pipe %s: %s\n", args[0], digest)
	return nil
}

func progress(args []string) error {
	if to := address("PROGRESS"); to != "" {
		return mustSend("POST", to, []byte(args[0]))
	}
	_, err := fmt.Println("fileyard:progress " + args[0])
	return err
}
