package main

import (
	nr "github.com/dapr/components-contrib/nameresolution"
	"github.com/dapr/components-contrib/nameresolution/mdns"
	nrsqlite "github.com/dapr/components-contrib/nameresolution/sqlite"
	"github.com/dapr/components-contrib/pubsub/azure/servicebus/topics"
	psmemory "github.com/dapr/components-contrib/pubsub/in-memory"
	"github.com/dapr/components-contrib/secretstores/local/env"
	"github.com/dapr/components-contrib/secretstores/local/file"
	"github.com/dapr/components-contrib/state/azure/cosmosdb"
	stmemory "github.com/dapr/components-contrib/state/in-memory"
	pgv1 "github.com/dapr/components-contrib/state/postgresql/v1"
	pgv2 "github.com/dapr/components-contrib/state/postgresql/v2"
	"github.com/dapr/dapr/pkg/components"
	"github.com/dapr/dapr/pkg/components/nameresolution"
	"github.com/dapr/dapr/pkg/components/pubsub"
	"github.com/dapr/dapr/pkg/components/secretstores"
	"github.com/dapr/dapr/pkg/components/state"
	"github.com/dapr/kit/logger"

	"cludale/tools/daprd/jetstream"
	"cludale/tools/daprd/rabbitmq"
	"cludale/tools/daprd/resolving"
)

func init() {
	pubsub.DefaultRegistry.RegisterComponent(jetstream.New, "jetstream")
	pubsub.DefaultRegistry.RegisterComponent(rabbitmq.New, "rabbitmq")
	pubsub.DefaultRegistry.RegisterComponent(topics.NewAzureServiceBusTopics, "azure.servicebus.topics", "azure.servicebus")
	pubsub.DefaultRegistry.RegisterComponent(psmemory.New, "in-memory")

	postgres := components.Versioning{
		Preferred: components.VersionConstructor{Version: "v2", Constructor: pgv2.NewPostgreSQLStateStore},
		Others:    []components.VersionConstructor{{Version: "v1", Constructor: pgv1.NewPostgreSQLStateStore}},
		Default:   "v1",
	}
	state.DefaultRegistry.RegisterComponentWithVersions("postgresql", postgres)
	state.DefaultRegistry.RegisterComponentWithVersions("postgres", postgres)
	state.DefaultRegistry.RegisterComponent(cosmosdb.NewCosmosDBStateStore, "azure.cosmosdb")
	state.DefaultRegistry.RegisterComponent(stmemory.NewInMemoryStateStore, "in-memory")

	secretstores.DefaultRegistry.RegisterComponent(env.NewEnvSecretStore, "local.env")
	secretstores.DefaultRegistry.RegisterComponent(file.NewLocalSecretStore, "local.file")

	nameresolution.DefaultRegistry.RegisterComponent(func(log logger.Logger) nr.Resolver {
		return resolving.Brief(nrsqlite.NewResolver(log))
	}, "sqlite")
	nameresolution.DefaultRegistry.RegisterComponent(mdns.NewResolver, "mdns")
}
