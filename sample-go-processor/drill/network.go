//go:build linux

// What this container can reach, one address or name at a time, and being reached itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"
	"syscall"
	"time"
)

// patience is how long an address or a name server may be silent before that is the answer.
const patience = 3 * time.Second

func dial(address string) string {
	connection, err := net.DialTimeout("tcp", address, patience)
	if err == nil {
		connection.Close()
	}
	return outcome(err)
}

func sayDial(args []string) error {
	_, err := fmt.Printf("drill: dial %s: %s\n", args[0], dial(args[0]))
	return err
}

// sayAsk sends a datagram, and says whether one came back.
func sayAsk(args []string) error {
	_, err := fmt.Printf("drill: ask %s: %s\n", args[0], ask(args[0]))
	return err
}

func ask(address string) string {
	connection, err := net.DialTimeout("udp", address, patience)
	if err != nil {
		return outcome(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	if _, err := connection.Write([]byte("anybody?")); err != nil {
		return outcome(err)
	}
	_, err = connection.Read(make([]byte, 512))
	return outcome(err)
}

// sayResolve asks whichever name server this container was given.
func sayResolve(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	addresses, err := (&net.Resolver{PreferGo: true}).LookupHost(ctx, args[0])
	said := outcome(err)
	var failure *net.DNSError
	switch {
	case err == nil:
		sort.Strings(addresses)
		said = strings.Join(addresses, " ")
	case errors.As(err, &failure) && failure.IsNotFound:
		said = "no such name"
	case errors.As(err, &failure) && failure.IsTimeout:
		said = "ETIMEDOUT"
	}
	_, err = fmt.Printf("drill: resolve %s: %s\n", args[0], said)
	return err
}

// listen answers TCP connections and datagrams on every address, and goes on.
func listen(args []string) error {
	streams, err := net.Listen("tcp", ":"+args[0])
	if err != nil {
		return err
	}
	datagrams, err := net.ListenPacket("udp", ":"+args[0])
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := streams.Accept()
			if err != nil {
				return
			}
			connection.Close()
		}
	}()
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := datagrams.ReadFrom(buffer)
			if err != nil {
				return
			}
			datagrams.WriteTo(buffer[:n], from)
		}
	}()
	_, err = fmt.Printf("drill: listens on %s at %s\n", args[0], ownAddress())
	return err
}

// ownAddress is the first that is not the loopback's.
func ownAddress() string {
	all, _ := net.InterfaceAddrs()
	for _, address := range all {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "127.0.0.1"
}

// outcome is "ok", the errno's name, or what the error says.
func outcome(err error) string {
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &errno):
		return errnoName(errno)
	case errors.As(err, &timeout) && timeout.Timeout():
		return "ETIMEDOUT"
	}
	return err.Error()
}
