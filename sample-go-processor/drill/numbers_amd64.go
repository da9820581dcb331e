//go:build linux

// System calls that Go's own table is too old for.
package main

const (
	sysBpf             = 321
	sysIoUringSetup    = 425
	sysPerfEventOpen   = 298
	sysUserfaultfd     = 323
	sysOpenByHandleAt  = 304
	sysSetns           = 308
	sysKexecLoad       = 246
	sysProcessVMWritev = 311
	sysOpenTree        = 428
	sysFsopen          = 430
	sysPidfdOpen       = 434
	sysPidfdGetfd      = 438
)
