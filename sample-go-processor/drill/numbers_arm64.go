//go:build linux

// System calls that Go's own table is too old for.
package main

const (
	sysBpf             = 280
	sysIoUringSetup    = 425
	sysPerfEventOpen   = 241
	sysUserfaultfd     = 282
	sysOpenByHandleAt  = 265
	sysSetns           = 268
	sysKexecLoad       = 104
	sysProcessVMWritev = 271
	sysOpenTree        = 428
	sysFsopen          = 430
	sysPidfdOpen       = 434
	sysPidfdGetfd      = 438
)
