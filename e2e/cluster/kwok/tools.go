// kwok itself is built from its module (see ../build); this file only names it, so that go.mod
// keeps it.

//go:build tools

package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"
