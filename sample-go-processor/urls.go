// The `urls` contract: the input by GET, outputs and result by PUT, at addresses from the environment. A server that
// is restarted is waited for, and a download that broke off goes on where it was. An address holds this attempt's
// token, so none is ever printed.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// urls are one attempt's addresses.
type urls struct {
	input, output, result string
	client                *http.Client
	patience              time.Duration // how long one request is tried again
	pause                 time.Duration // after the first failure; doubles up to pauseMost
}

const pauseMost = 2 * time.Second

func newURLs(getenv func(string) string) (*urls, error) {
	u := &urls{
		input: getenv("FILEYARD_INPUT_URL"), output: getenv("FILEYARD_OUTPUT_URL"), result: getenv("FILEYARD_RESULT_URL"),
		// No proxy: the addresses are the other end of this container's own network.
		client:   &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: time.Minute}},
		patience: 5 * time.Minute,
		pause:    100 * time.Millisecond,
	}
	if u.output == "" || u.result == "" {
		return nil, errors.New("FILEYARD_INPUT_URL is set, but FILEYARD_OUTPUT_URL or FILEYARD_RESULT_URL is not")
	}
	return u, nil
}

func (u *urls) open() (io.ReadCloser, int64, error) {
	d := &download{from: u}
	if err := d.connect(); err != nil {
		return nil, 0, fmt.Errorf("cannot open the input: %w", err)
	}
	return d, d.size, nil
}

func (u *urls) give(name string, content []byte) error {
	to := u.output + "/" + url.PathEscape(name)
	if name == resultName {
		to = u.result
	}
	err := u.insist(func() error {
		response, err := u.ask(http.MethodPut, to, bytes.NewReader(content), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode/100 != 2 {
			return refused(response)
		}
		_, err = io.Copy(io.Discard, response.Body)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot send an output: %w", err)
	}
	return nil
}

// download is the input, however often its connection breaks.
type download struct {
	from     *urls
	body     io.ReadCloser
	at, size int64
	etag     string
}

func (d *download) connect() error {
	return d.from.insist(func() error {
		header, expected := http.Header{}, http.StatusOK
		if d.etag != "" {
			header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
			header.Set("If-Range", d.etag)
			expected = http.StatusPartialContent
		}
		response, err := d.from.ask(http.MethodGet, d.from.input, nil, header)
		if err != nil {
			return err
		}
		if response.StatusCode != expected {
			defer response.Body.Close()
			return refused(response)
		}
		if d.etag == "" {
			d.etag, d.size = response.Header.Get("ETag"), response.ContentLength
		}
		d.body = response.Body
		return nil
	})
}

func (d *download) Read(p []byte) (int, error) {
	for {
		n, err := d.body.Read(p)
		d.at += int64(n)
		if n > 0 || err == nil {
			return n, nil // an error comes again
		}
		if err == io.EOF && d.at == d.size {
			return 0, io.EOF
		}
		d.body.Close()
		if err := d.connect(); err != nil {
			return 0, err
		}
	}
}

func (d *download) Close() error { return d.body.Close() }

func (u *urls) ask(method, to string, body io.Reader, header http.Header) (*http.Response, error) {
	request, err := http.NewRequest(method, to, body)
	if err != nil {
		return nil, bare(err)
	}
	if header != nil {
		request.Header = header
	}
	response, err := u.client.Do(request)
	if err != nil {
		return nil, passing{bare(err)}
	}
	return response, nil
}

// insist repeats what failed by something that passes, until patience is at its end.
func (u *urls) insist(do func() error) error {
	for began, pause := time.Now(), u.pause; ; pause *= 2 {
		err := do()
		var passes passing
		if err == nil || !errors.As(err, &passes) || time.Since(began) > u.patience {
			return err
		}
		if pause > pauseMost {
			pause = pauseMost
		}
		time.Sleep(pause)
	}
}

// passing is trouble that may be gone in a minute.
type passing struct{ error }

func (p passing) Unwrap() error { return p.error }

// refused is an answer that is not the one that was hoped for, in the server's own words.
func refused(response *http.Response) error {
	words, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
	err := fmt.Errorf("fileyard answered %s: %s", response.Status, oneLine(strings.TrimSpace(string(words))))
	switch code := response.StatusCode; {
	case code >= 500, code == http.StatusRequestTimeout, code == http.StatusTooManyRequests:
		return passing{err}
	}
	return err
}

// bare is an error without the address that net/http puts into it.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
