// The virtual network: subnets for the container apps, for private endpoints, and for the machine (an agent of the
// pipeline, an operator's) that puts the first secrets into a vault which is closed to the outside.

@description('What names start with.')
param baseName string

@description('Where it is.')
param location string

@description('Tags of every resource.')
param tags object

@description('The address space.')
param addressPrefix string

@description('The part of it for the container apps; a /27 or larger.')
param appsPrefix string

@description('The part of it for private endpoints.')
param endpointsPrefix string

@description('The part of it for agents. No subnet of the apps will do: that one is delegated and takes no machine.')
param agentsPrefix string

resource endpointsRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${baseName}-endpoints'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'services-only'
        properties: {
          description: 'Only the container apps speak to the private endpoints.'
          priority: 100
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: appsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsPrefix
          destinationPortRanges: [
            '443'
            '5671'
            '10250-10255'
          ]
        }
      }
      {
        name: 'agents-to-the-vault'
        properties: {
          description: 'Agents speak HTTPS to them: the vault, and the store behind a role.'
          priority: 110
          direction: 'Inbound'
          access: 'Allow'
          protocol: 'Tcp'
          sourceAddressPrefix: agentsPrefix
          sourcePortRange: '*'
          destinationAddressPrefix: endpointsPrefix
          destinationPortRange: '443'
        }
      }
      {
        name: 'nobody-else'
        properties: {
          description: 'Nobody else does.'
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource agentsRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${baseName}-agents'
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'nobody'
        properties: {
          description: 'Agents ask for work; nobody speaks to them first.'
          priority: 4000
          direction: 'Inbound'
          access: 'Deny'
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: '${baseName}-network'
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'apps'
        properties: {
          addressPrefix: appsPrefix
          delegations: [
            {
              name: 'container-apps'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'private-endpoints'
        properties: {
          addressPrefix: endpointsPrefix
          networkSecurityGroup: {
            id: endpointsRules.id
          }
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
      {
        name: 'agents'
        properties: {
          addressPrefix: agentsPrefix
          networkSecurityGroup: {
            id: agentsRules.id
          }
        }
      }
    ]
  }
}

@description('The network.')
output networkId string = network.id

@description('Where the container apps are.')
output appsSubnetId string = network.properties.subnets[0].id

@description('Where private endpoints are.')
output privateEndpointsSubnetId string = network.properties.subnets[1].id

@description('Where agents are.')
output agentsSubnetId string = network.properties.subnets[2].id
