// Cludale Tickets on Azure: everything in one resource group.
//
// Without `image` all but the container apps is put up, so that there is a registry to push the first image to and a
// vault to put the keys into. docs/run/azure.md has the commands in their order.
targetScope = 'resourceGroup'

@description('Which of the environments this is; part of every name.')
@allowed([
  'dev'
  'test'
  'prod'
])
param environmentName string

@description('Where everything is.')
param location string = resourceGroup().location

@description('The image of all services, by digest: <registry>/cludale@sha256:…. Empty: no container apps yet.')
param image string = ''

@description('The suffix of the revisions that this deployment makes, from commit and image; unchanged, it makes none.')
@maxLength(20)
param revisionSuffix string = ''

@description('The suffix of the revisions labelled blue; empty for none.')
@maxLength(20)
param blueSuffix string = ''

@description('The suffix of the revisions labelled green; empty for none.')
@maxLength(20)
param greenSuffix string = ''

@description('The label that has all of the traffic.')
@allowed([
  'blue'
  'green'
])
param liveLabel string = 'blue'

@description('Put the services into a virtual network, and the store and the vault behind private endpoints.')
param privateNetwork bool = false

@description('The address space of that network.')
param networkPrefix string = '10.40.0.0/22'

@description('The part of it for the container apps; a /27 or larger.')
param appsPrefix string = '10.40.0.0/23'

@description('The part of it for private endpoints.')
param endpointsPrefix string = '10.40.2.0/24'

@description('The part of it for the machines that reach what is closed to the outside: agents, operators.')
param agentsPrefix string = '10.40.3.0/27'

@description('Spread over availability zones. Needs the network.')
param zoneRedundant bool = false

@description('The broker. Standard has topics; Premium has zones of its own, private endpoints and a fixed price.')
@allowed([
  'Standard'
  'Premium'
])
param serviceBusSku string = 'Standard'

@description('Cosmos DB without reserved throughput: for little load. Can not be changed later.')
param cosmosServerless bool = false

@description('The most request units a second of each container, by its name; a tenth of it is paid for at idle.')
param cosmosMaxThroughput object = {
  concerts: 4000
  orders: 4000
  payments: 4000
  notifications: 1000
  audit: 4000
  'simulated-provider': 1000
}

@description('Whether a deleted vault, and so its name, is kept for 90 days whoever asks. Once on, it stays on.')
param vaultPurgeProtection bool = true

@description('How far back the store can be restored.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param cosmosBackupTier string = 'Continuous7Days'

@description('A second region for the store, to fail over to; empty for none. Not with serverless.')
param secondaryLocation string = ''

@description('The cores of a replica, as a decimal number.')
@allowed([
  '0.5'
  '1.0'
  '2.0'
])
param cpu string = '0.5'

@description('The memory of a replica: twice as many Gi as cores.')
@allowed([
  '1Gi'
  '2Gi'
  '4Gi'
])
param memory string = '1Gi'

@description('The fewest replicas of each service. At least one: each relays an outbox.')
@minValue(1)
param minReplicas int = 1

@description('The most replicas of each service.')
@minValue(1)
param maxReplicas int = 10

@description('The most replicas of audit. All of them write one chain: with more, more of their commits meet a conflict.')
@minValue(1)
param auditMaxReplicas int = 2

@description('Days for which logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('The most gigabytes of logs a day; -1 for no limit.')
param logDailyCapGb int = -1

@description('The share of traces that is recorded, from 0 to 1. All of them cost more CPU than the orders.')
param traceShare string = '1.0'

@description('Who is told when something is wrong.')
param alertEmail string

@description('The object id of who may write secrets; empty for nobody.')
param operatorPrincipalId string = ''

@description('What kind of principal that is.')
@allowed([
  'User'
  'Group'
  'ServicePrincipal'
])
param operatorPrincipalType string = 'User'

@description('Who takes the money: simulated takes none and says that it did. With none payments does not start, so nobody sells without money unasked.')
@allowed([
  'none'
  'simulated'
])
param paymentProvider string = 'none'

@description('The mail server; empty: messages to buyers only go to the log.')
param smtpHost string = ''

@description('The user at the mail server; its password is the vault\'s secret smtp-password.')
param smtpUser string = ''

@description('The sender of e-mails.')
param smtpFrom string = 'tickets@localhost'

// What the code says: topics, subscriptions, routes, ports. Made by `make infra`; a test fails when it is stale.
var catalogue = loadJsonContent('generated/catalogue.json')

var unique = uniqueString(subscription().id, resourceGroup().id, environmentName)
var baseName = 'cludale-${environmentName}'
var tags = {
  application: 'cludale-tickets'
  environment: environmentName
}
var withApps = !empty(image)

module observability 'modules/observability.bicep' = {
  name: 'observability'
  params: {
    baseName: baseName
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  params: {
    baseName: baseName
    location: location
    tags: tags
    addressPrefix: networkPrefix
    appsPrefix: appsPrefix
    endpointsPrefix: endpointsPrefix
    agentsPrefix: agentsPrefix
  }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: {
    baseName: baseName
    location: location
    tags: tags
    services: catalogue.services
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  params: {
    name: 'cludale${environmentName}${unique}'
    location: location
    tags: tags
    zoneRedundant: zoneRedundant
    workspaceId: observability.outputs.workspaceId
    pullerPrincipalIds: identities.outputs.principalIds
  }
}

module keyVault 'modules/keyVault.bicep' = {
  name: 'keyVault'
  params: {
    name: 'cludale-${environmentName}-${take(unique, 8)}'
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    readerPrincipalIds: identities.outputs.principalIds
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    purgeProtection: vaultPurgeProtection
    privateEndpointsSubnetId: privateNetwork ? network.outputs.privateEndpointsSubnetId : ''
    networkId: privateNetwork ? network.outputs.networkId : ''
  }
}

module serviceBus 'modules/serviceBus.bicep' = {
  name: 'serviceBus'
  params: {
    name: '${baseName}-${unique}'
    location: location
    tags: tags
    sku: serviceBusSku
    workspaceId: observability.outputs.workspaceId
    topics: catalogue.topics
    subscriptions: catalogue.subscriptions
    services: catalogue.services
    maxDeliveryCount: catalogue.delivery.attempts
    privateEndpointsSubnetId: privateNetwork && serviceBusSku == 'Premium' ? network.outputs.privateEndpointsSubnetId : ''
    networkId: privateNetwork && serviceBusSku == 'Premium' ? network.outputs.networkId : ''
  }
}

module cosmos 'modules/cosmos.bicep' = {
  name: 'cosmos'
  params: {
    name: '${baseName}-${unique}'
    location: location
    tags: tags
    secondaryLocation: secondaryLocation
    zoneRedundant: zoneRedundant
    serverless: cosmosServerless
    maxThroughput: cosmosMaxThroughput
    backupTier: cosmosBackupTier
    databaseName: catalogue.cosmos.database
    consistency: catalogue.cosmos.consistency
    containers: catalogue.cosmos.containers
    principalIds: identities.outputs.principalIds
    workspaceId: observability.outputs.workspaceId
    privateEndpointsSubnetId: privateNetwork ? network.outputs.privateEndpointsSubnetId : ''
    networkId: privateNetwork ? network.outputs.networkId : ''
  }
}

module appsEnvironment 'modules/environment.bicep' = {
  name: 'environment'
  params: {
    name: baseName
    location: location
    tags: tags
    workspaceId: observability.outputs.workspaceId
    infrastructureSubnetId: privateNetwork ? network.outputs.appsSubnetId : ''
    zoneRedundant: zoneRedundant && privateNetwork
    serviceNames: catalogue.serviceNames
    serviceBusHost: serviceBus.outputs.host
    applicationInsightsName: observability.outputs.applicationInsightsName
    delivery: catalogue.delivery
  }
}

module apps 'modules/app.bicep' = [for (service, i) in catalogue.services: if (withApps) {
  name: 'app-${service.name}'
  params: {
    service: service
    location: location
    tags: tags
    environmentId: appsEnvironment.outputs.environmentId
    image: image
    registryServer: registry.outputs.loginServer
    identityId: identities.outputs.identityIds[i]
    identityClientId: identities.outputs.clientIds[i]
    port: catalogue.port
    probes: catalogue.probes
    cosmosEndpoint: cosmos.outputs.endpoint
    cosmosDatabase: catalogue.cosmos.database
    serviceBusName: serviceBus.outputs.name
    keyVaultUri: keyVault.outputs.uri
    applicationInsightsName: observability.outputs.applicationInsightsName
    traceShare: traceShare
    smtpHost: smtpHost
    smtpUser: smtpUser
    smtpFrom: smtpFrom
    paymentProvider: paymentProvider
    cpu: cpu
    memory: memory
    minReplicas: minReplicas
    maxReplicas: service.name == 'audit' ? auditMaxReplicas : maxReplicas
    revisionSuffix: revisionSuffix
    blueSuffix: blueSuffix
    greenSuffix: greenSuffix
    liveLabel: liveLabel
  }
}]

// The sidecar of an app speaks to the broker as the app's own system-assigned identity, which is there once the app is.
module sidecarAccess 'modules/serviceBusAccess.bicep' = [for (service, i) in catalogue.services: if (withApps) {
  name: 'sidecar-access-${service.name}'
  params: {
    namespaceName: serviceBus.outputs.name
    principalId: apps[i].outputs.principalId
    sendsTo: service.sendsTo
    hears: concat(service.hears, [
      service.deadLetterTopic
    ])
    subscriptionName: service.name
  }
}]

// The scaler looks at the subscriptions as the app's user-assigned identity.
module scalerAccess 'modules/serviceBusAccess.bicep' = [for (service, i) in catalogue.services: {
  name: 'scaler-access-${service.name}'
  params: {
    namespaceName: serviceBus.outputs.name
    principalId: identities.outputs.principalIds[i]
    sendsTo: []
    hears: service.hears
    subscriptionName: service.name
  }
}]

module address 'modules/address.bicep' = if (withApps) {
  name: 'address'
  params: {
    environmentName: appsEnvironment.outputs.environmentName
    services: catalogue.services
  }
  dependsOn: [
    apps
  ]
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  params: {
    baseName: baseName
    location: location
    tags: tags
    email: alertEmail
    workspaceId: observability.outputs.workspaceId
    applicationInsightsId: observability.outputs.applicationInsightsId
    serviceBusId: serviceBus.outputs.id
    topics: catalogue.topics
    deadLetterTopics: catalogue.deadLetterTopics
    cosmosId: cosmos.outputs.id
    serviceNames: withApps ? catalogue.serviceNames : []
    address: withApps ? address.outputs.fqdn : ''
  }
}

@description('Where to push the image.')
output registryServer string = registry.outputs.loginServer

@description('Where to push the image, for the command line.')
output registryName string = registry.outputs.name

@description('The id that queries name Application Insights by.')
output insightsAppId string = observability.outputs.applicationInsightsAppId

@description('Where the keys are kept.')
output keyVaultName string = keyVault.outputs.name

@description('The namespace of topics and subscriptions.')
output serviceBusName string = serviceBus.outputs.name

@description('The store.')
output cosmosEndpoint string = cosmos.outputs.endpoint

@description('The environment of the container apps.')
output environmentName string = appsEnvironment.outputs.environmentName

@description('The one address of the API; empty before there are apps.')
output apiUrl string = withApps ? 'https://${address.outputs.fqdn}' : ''

@description('The subnet of agents, which reach the vault; empty without a network.')
output agentsSubnetId string = privateNetwork ? network.outputs.agentsSubnetId : ''
