package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// user is whom the program runs as when whoever starts it names nobody: the processors' default user.
const user = "65532:65532"

// epoch stands for every time in an image, so that its bytes depend on the program alone.
var epoch = time.Unix(0, 0).UTC()

// image is a `FROM scratch` image with one program at its root.
type image struct {
	name    string // NAME:TAG
	arch    string
	entry   string // the program's file name
	program []byte
}

// The JSON of an image: https://github.com/moby/docker-image-spec (spec v1.2), of which these are the parts we set.
type (
	config struct {
		Architecture string    `json:"architecture"`
		OS           string    `json:"os"`
		Created      time.Time `json:"created"`
		Config       runConfig `json:"config"`
		RootFS       rootFS    `json:"rootfs"`
		History      []history `json:"history"`
	}
	runConfig struct {
		User       string   `json:"User"`
		Entrypoint []string `json:"Entrypoint"`
		WorkingDir string   `json:"WorkingDir"`
	}
	rootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	}
	history struct {
		Created   time.Time `json:"created"`
		CreatedBy string    `json:"created_by"`
	}
	manifest struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
)

// pack is the whole tar: the layer, the config that names the layer's digest, the manifest that names both.
func (i image) pack() ([]byte, error) {
	if !strings.Contains(i.name, ":") {
		return nil, errors.New("an image's name needs a tag, as in " + i.name + ":latest")
	}
	layer, err := tarOf(file{i.entry, 0o755, i.program})
	if err != nil {
		return nil, err
	}
	layerDigest := digest(layer)
	config, err := json.Marshal(config{
		Architecture: i.arch,
		OS:           "linux",
		Created:      epoch,
		Config:       runConfig{User: user, Entrypoint: []string{"/" + i.entry}, WorkingDir: "/"},
		RootFS:       rootFS{Type: "layers", DiffIDs: []string{"sha256:" + layerDigest}},
		History:      []history{{Created: epoch, CreatedBy: "imagetar /" + i.entry}},
	})
	if err != nil {
		return nil, err
	}
	configName, layerName := digest(config)+".json", layerDigest+"/layer.tar"
	index, err := json.Marshal([]manifest{{Config: configName, RepoTags: []string{i.name}, Layers: []string{layerName}}})
	if err != nil {
		return nil, err
	}
	return tarOf(
		file{layerName, 0o644, layer},
		file{configName, 0o644, config},
		file{"manifest.json", 0o644, index},
	)
}

type file struct {
	name string
	mode int64
	body []byte
}

func tarOf(files ...file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.body)), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.body); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
