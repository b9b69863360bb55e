// Production in small, for the release before its own: the same network and closed doors, and no more than has to be
// paid for. Its vault goes with it: it can be thrown away and made again.
using '../main.bicep'

param environmentName = 'staging'
param alertEmail = 'operators@example.com'
param paymentProvider = 'simulated'
param privateNetwork = true
param networkPrefix = '10.41.0.0/22'
param appsPrefix = '10.41.0.0/23'
param endpointsPrefix = '10.41.2.0/24'
param agentsPrefix = '10.41.3.0/27'
param vaultPurgeProtection = false
param serviceBusSku = 'Standard'
param cosmosMaxThroughput = {
  concerts: 1000
  orders: 1000
  payments: 1000
  notifications: 1000
  audit: 1000
  tickets: 1000
  'simulated-provider': 1000
}
param minReplicas = 1
param maxReplicas = 3
param logRetentionDays = 30
param logDailyCapGb = 2
param monthlyBudget = 700
