// Command kube is a whole Kubernetes in one binary: etcd, the control plane, kubelet and kubectl. One link of the code
// that all of them share takes a sixth of the time and of the space of six binaries.
//
//	kube kube-apiserver --etcd-servers=…     the program by its name as the first word,
//	kubectl get pods                         or by the name the binary is called by (a link)
//	kube keys DIR IP…                        writes serving.crt, serving.key and accounts.key, so nobody needs openssl
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

var daemons = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllermanager.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
}

func main() {
	os.Args[0] = filepath.Base(os.Args[0])
	if os.Args[0] == "kube" && len(os.Args) > 1 {
		os.Args = os.Args[1:] // every program below reads os.Args as if it were alone
	}
	switch name := os.Args[0]; name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "keys":
		if err := writeKeys(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "kube keys:", err)
			os.Exit(1)
		}
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
	default:
		daemon, known := daemons[name]
		if !known {
			fmt.Fprintf(os.Stderr, "kube: no program %q; use etcd, kubectl, kubelet or kube-{apiserver,controller-manager,scheduler}\n", name)
			os.Exit(2)
		}
		os.Exit(cli.Run(daemon()))
	}
}

// writeKeys makes a self-signed certificate for the addresses, and the key that service account tokens are signed with.
func writeKeys(folder string, addresses []string) error {
	ips := make([]net.IP, len(addresses))
	for i, address := range addresses {
		ips[i] = net.ParseIP(address)
	}
	crt, key, err := cert.GenerateSelfSignedCertKey("localhost", ips, nil)
	if err != nil {
		return err
	}
	accounts, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"serving.crt": crt, "serving.key": key, "accounts.key": accounts} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}
