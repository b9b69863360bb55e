// One public address in front of all services: requests go to a service by the first part of their path. Only these
// paths can be reached from outside.

@description('The environment of the container apps.')
param environmentName string

@description('The name of the address: the first part of its host.')
param routeName string

@description('The services: {name, paths, …}.')
param services array

@description('The label whose revisions answer; empty: those that have the traffic.')
param label string

resource appsEnvironment 'Microsoft.App/managedEnvironments@2026-07-01' existing = {
  name: environmentName
}

resource routes 'Microsoft.App/managedEnvironments/httpRouteConfigs@2026-07-01' = {
  parent: appsEnvironment
  name: routeName
  properties: {
    rules: [for service in services: {
      description: service.name
      routes: service.routes
      targets: [
        empty(label) ? {
          containerApp: service.name
        } : {
          containerApp: service.name
          label: label
        }
      ]
    }]
  }
}

@description('The host.')
output fqdn string = routes.properties.fqdn
