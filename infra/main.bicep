// Cludale Tickets on Azure: everything in one resource group.
//
// Without `image` all but the container apps is put up, so that there is a registry to push the first image to and a
// vault to put the keys into. docs/run/azure.md has the commands in their order.
targetScope = 'resourceGroup'

@description('Which of the environments this is; part of every name.')
@allowed([
  'dev'
  'staging'
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

@description('The apps too. Without it they are on again in another zone only once Azure starts them there. Can not be changed later.')
param appsZoneRedundant bool = zoneRedundant

@description('The store too. Without it a zone that fails may take the store along until it is back. Can not be changed later.')
param cosmosZoneRedundant bool = zoneRedundant

@description('Where the store is, if the apps\' region has no room for it.')
param cosmosLocation string = location

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
  tickets: 1000
  'simulated-provider': 1000
}

@description('Services that keep records in a Dapr state store over Cosmos DB: audit (its log), concerts (what it reads by id alone). Decide before the first start: nothing is moved.')
param stateStoreServices array = []

@description('Whether a deleted vault, and so its name, is kept for 90 days whoever asks. Once on, it stays on.')
param vaultPurgeProtection bool = true

@description('How far back the store can be restored.')
@allowed([
  'Continuous7Days'
  'Continuous30Days'
])
param cosmosBackupTier string = 'Continuous7Days'

@description('A store that is there already, restored or moved here, by its name: no other is made, and what is said of cosmos… is not done to it. Empty: the platform makes its own.')
@maxLength(44)
param existingCosmosName string = ''

@description('The resource group of that store.')
param existingCosmosGroup string = resourceGroup().name

@description('A second region: for the store, to fail over to; for a Premium broker and registry, a copy. Empty for none. Not with serverless.')
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

@description('Keep the exported audit log in an account of its own, past the days of the store\'s backup.')
param auditArchive bool = false

@description('Front Door with a firewall before the apps, which can then be reached through it alone. Needs the network.')
param frontDoor bool = false

@description('The name that buyers type, if Front Door is to answer to it: tickets.example.com.')
param domain string = ''

@description('Turn away whoever wants to order, at Front Door. All else goes on.')
param salesStopped bool = false

@description('The most that a month should cost, in the currency of the bill; 0 for no budget.')
param monthlyBudget int = 0

@description('The first day of this month, 2026-12-01, where a budget is made; Azure lets nobody change it after that.')
param budgetStart string = ''

@description('Who is told when something is wrong.')
param alertEmail string

@description('The object id of who may write secrets, and send again what the broker gave up; empty for nobody.')
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
var behindFrontDoor = frontDoor && privateNetwork

// Where Container Apps' own ingress asks from; behind Front Door it alone says whose request it is.
var ingressPrefix = '100.100.0.0/16'
var appsAreSpread = appsZoneRedundant && privateNetwork
// Dapr state stores: a container each, laid out and given rights to as the services' own are.
var stateStoresHere = concat(contains(stateStoreServices, 'audit') ? [
  catalogue.stateStores.audit
] : [], contains(stateStoreServices, 'concerts') ? [
  catalogue.stateStores.concerts
] : [])
var containers = concat(catalogue.cosmos.containers, stateStoresHere)

var makesStore = empty(existingCosmosName)
var storeGroup = makesStore ? resourceGroup().name : existingCosmosGroup

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
    secondaryLocation: secondaryLocation
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
    secondaryLocation: secondaryLocation
    workspaceId: observability.outputs.workspaceId
    topics: catalogue.topics
    subscriptions: catalogue.subscriptions
    services: catalogue.services
    maxDeliveryCount: catalogue.delivery.attempts
    privateEndpointsSubnetId: privateNetwork && serviceBusSku == 'Premium' ? network.outputs.privateEndpointsSubnetId : ''
    networkId: privateNetwork && serviceBusSku == 'Premium' ? network.outputs.networkId : ''
  }
}

module cosmos 'modules/cosmos.bicep' = if (makesStore) {
  name: 'cosmos'
  params: {
    name: '${baseName}-${unique}'
    location: cosmosLocation
    tags: tags
    secondaryLocation: secondaryLocation
    zoneRedundant: cosmosZoneRedundant
    serverless: cosmosServerless
    maxThroughput: union({
      'audit-state': cosmosMaxThroughput.audit
      'concerts-state': cosmosMaxThroughput.concerts
    }, cosmosMaxThroughput)
    backupTier: cosmosBackupTier
    databaseName: catalogue.cosmos.database
    consistency: catalogue.cosmos.consistency
    containers: containers
    isPrivate: privateNetwork
  }
}

module storeAccess 'modules/cosmosAccess.bicep' = {
  name: 'store-access'
  scope: resourceGroup(storeGroup)
  params: {
    accountName: makesStore ? cosmos.outputs.name : existingCosmosName
    databaseName: catalogue.cosmos.database
    containers: containers
    principalIds: identities.outputs.principalIds
    workspaceId: observability.outputs.workspaceId
  }
}

// After the roles: an account takes one change at a time.
module storeEndpoint 'modules/privateEndpoint.bicep' = if (privateNetwork) {
  name: 'store-endpoint'
  params: {
    name: '${storeAccess.outputs.name}-store-endpoint'
    location: location
    tags: tags
    targetId: storeAccess.outputs.id
    groupId: 'Sql'
    zoneName: 'privatelink.documents.azure.com'
    subnetId: privateNetwork ? network.outputs.privateEndpointsSubnetId : ''
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
    zoneRedundant: appsAreSpread
    publicNetworkAccess: behindFrontDoor ? 'Disabled' : 'Enabled'
    serviceNames: catalogue.serviceNames
    serviceBusHost: serviceBus.outputs.host
    applicationInsightsName: observability.outputs.applicationInsightsName
    resiliency: catalogue.resiliency.events
  }
}

module stateStores 'modules/stateStore.bicep' = [for store in stateStoresHere: {
  name: 'state-store-${store.service}'
  params: {
    store: store
    environmentName: appsEnvironment.outputs.environmentName
    cosmosEndpoint: storeAccess.outputs.endpoint
    cosmosDatabase: catalogue.cosmos.database
    clientId: identities.outputs.clientIds[store.serviceIndex]
    resiliency: catalogue.resiliency.state
  }
}]

module apps 'modules/app.bicep' = [for (service, i) in catalogue.services: if (withApps) {
  name: 'app-${service.name}'
  params: {
    service: service
    location: location
    tags: tags
    environmentId: appsEnvironment.outputs.environmentId
    environmentDomain: appsEnvironment.outputs.domain
    image: image
    registryServer: registry.outputs.loginServer
    identityId: identities.outputs.identityIds[i]
    identityClientId: identities.outputs.clientIds[i]
    scalerIdentityId: identities.outputs.scalerIds[i]
    port: catalogue.port
    probes: catalogue.probes
    cosmosEndpoint: storeAccess.outputs.endpoint
    cosmosDatabase: catalogue.cosmos.database
    hasStateStore: contains(stateStoreServices, service.name)
    serviceBusName: serviceBus.outputs.name
    keyVaultUri: keyVault.outputs.uri
    applicationInsightsName: observability.outputs.applicationInsightsName
    traceShare: traceShare
    smtpHost: smtpHost
    smtpUser: smtpUser
    smtpFrom: smtpFrom
    paymentProvider: paymentProvider
    trustedProxies: behindFrontDoor ? '${ingressPrefix},${networkPrefix}' : ''
    cpu: cpu
    memory: memory
    minReplicas: minReplicas
    maxReplicas: service.name == 'audit' ? auditMaxReplicas : maxReplicas
    revisionSuffix: revisionSuffix
    blueSuffix: blueSuffix
    greenSuffix: greenSuffix
    liveLabel: liveLabel
  }
  dependsOn: [
    stateStores
  ]
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

// The scaler looks at the subscriptions as an identity of its own.
module scalerAccess 'modules/scalerAccess.bicep' = [for (service, i) in catalogue.services: {
  name: 'scaler-access-${service.name}'
  params: {
    namespaceName: serviceBus.outputs.name
    principalId: identities.outputs.scalerPrincipalIds[i]
    hears: service.hears
    subscriptionName: service.name
  }
}]

module operatorAccess 'modules/serviceBusOperator.bicep' = if (!empty(operatorPrincipalId)) {
  name: 'operator-access'
  params: {
    namespaceName: serviceBus.outputs.name
    principalId: operatorPrincipalId
    principalType: operatorPrincipalType
    deadLetterTopics: catalogue.deadLetterTopics
  }
}

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
    cosmosId: storeAccess.outputs.id
    serviceNames: withApps ? catalogue.serviceNames : []
    address: withApps ? behindFrontDoor ? front.outputs.host : address.outputs.fqdn : ''
  }
}

module healthAlerts 'modules/healthAlerts.bicep' = {
  name: 'health-alerts'
  params: {
    baseName: baseName
    location: location
    tags: tags
    actionGroupId: alerts.outputs.actionGroupId
    workspaceId: observability.outputs.workspaceId
    keyVaultId: keyVault.outputs.id
    serviceNames: withApps ? catalogue.serviceNames : []
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0 && !empty(budgetStart)) {
  name: 'budget'
  params: {
    name: '${baseName}-budget'
    monthly: monthlyBudget
    start: budgetStart
    email: alertEmail
  }
}

module archive 'modules/auditArchive.bicep' = if (auditArchive) {
  name: 'audit-archive'
  params: {
    name: take('cludale${environmentName}${unique}', 24)
    location: location
    tags: tags
    writerPrincipalId: operatorPrincipalId
    writerPrincipalType: operatorPrincipalType
    workspaceId: observability.outputs.workspaceId
    privateEndpointsSubnetId: privateNetwork ? network.outputs.privateEndpointsSubnetId : ''
    networkId: privateNetwork ? network.outputs.networkId : ''
  }
}

module firewall 'modules/firewall.bicep' = if (behindFrontDoor) {
  name: 'firewall'
  params: {
    baseName: baseName
    tags: tags
    salesStopped: salesStopped
  }
}

module front 'modules/frontDoor.bicep' = if (withApps && behindFrontDoor) {
  name: 'front-door'
  params: {
    baseName: baseName
    unique: unique
    tags: tags
    environmentLocation: location
    environmentId: appsEnvironment.outputs.environmentId
    originHost: address.outputs.fqdn
    domain: domain
    firewallId: behindFrontDoor ? firewall.outputs.id : ''
    workspaceId: observability.outputs.workspaceId
  }
}

// Who is in the network (an agent of the pipeline, which tries green at its own address) needs an entrance of its own.
module appsEndpoint 'modules/privateEndpoint.bicep' = if (behindFrontDoor) {
  name: 'apps-endpoint'
  params: {
    name: '${baseName}-apps-endpoint'
    location: location
    tags: tags
    targetId: appsEnvironment.outputs.environmentId
    groupId: 'managedEnvironments'
    zoneName: 'privatelink.${location}.azurecontainerapps.io'
    subnetId: network.outputs.privateEndpointsSubnetId
    networkId: network.outputs.networkId
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
output cosmosEndpoint string = storeAccess.outputs.endpoint

@description('Its name: what is restored from, and what `cludale restore` is told.')
output cosmosName string = storeAccess.outputs.name

@description('What a zone that fails leaves up: what is spread over zones is said here, whatever was wished for. Of a store that was there already it is not known.')
output overZones object = {
  apps: appsAreSpread
  store: makesStore ? cosmosZoneRedundant : null
  broker: serviceBusSku == 'Premium'
  registry: zoneRedundant
}

@description('The environment of the container apps.')
output environmentName string = appsEnvironment.outputs.environmentName

@description('The one address of the API; empty before there are apps.')
output apiUrl string = withApps ? 'https://${behindFrontDoor ? front.outputs.host : address.outputs.fqdn}' : ''

@description('Where the CNAME of `domain` has to lead; empty without Front Door.')
output frontDoorHost string = withApps && behindFrontDoor ? front.outputs.endpointHost : ''

@description('The account of the exported audit log; empty where there is none.')
output auditArchiveName string = auditArchive ? archive.outputs.name : ''

@description('The subnet of agents, which reach the vault; empty without a network.')
output agentsSubnetId string = privateNetwork ? network.outputs.agentsSubnetId : ''
