// One public address in front of all services: requests go to a service by the first part of their path, and to its
// revisions by their weights. Only these paths can be reached from outside. A release makes the green label an address
// of its own beside it.

@description('The environment of the container apps.')
param environmentName string

@description('The services: {name, paths, …}.')
param services array

resource appsEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' existing = {
  name: environmentName
}

resource routes 'Microsoft.App/managedEnvironments/httpRouteConfigs@2026-07-01' = {
  parent: appsEnvironment
  name: 'api'
  properties: {
    rules: [for service in services: {
      description: service.name
      routes: service.routes
      targets: [
        {
          containerApp: service.name
        }
      ]
    }]
  }
}

@description('The host.')
output fqdn string = routes.properties.fqdn
